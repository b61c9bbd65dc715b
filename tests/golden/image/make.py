"""The corpus of pictures: one drawing in many encodings, and what Pillow reads of them (python3 make.py, with Pillow 11.3 and NumPy).

NAME.ppm is Pillow's convert("RGB") of NAME.*, resized/WxH.ppm its resize((W, H), BICUBIC) of drawing.png."""
import os
import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
W, H = 61, 47
y, x = np.mgrid[0:H, 0:W] / W
rng = np.random.default_rng(7)
field = np.stack([0.5 + 0.4 * np.sin(9 * x * (c + 1) + 5 * y + c) + 0.1 * rng.standard_normal((H, W)) for c in range(3)], -1)
field[(x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.03] = (0.9, 0.1, 0.2)
rgb = Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8))
alpha = Image.fromarray(((x * 255).astype(np.uint8)))
rgba = rgb.copy()
rgba.putalpha(alpha)
grey = rgb.convert("L")
palette = rgb.quantize(13)
files = {
    "drawing.png": (rgb, {}),
    "alpha.png": (rgba, {}),
    "grey.png": (grey, {}),
    "grey-alpha.png": (rgba.convert("LA"), {}),
    "one-bit.png": (rgb.convert("1"), {}),
    "palette.png": (palette, {}),
    "palette-transparent.png": (palette, dict(transparency=3)),
    "baseline.jpg": (rgb, dict(quality=80)),
    "full-colour.jpg": (rgb, dict(quality=95, subsampling=0)),
    "progressive.jpg": (rgb, dict(quality=70, progressive=True)),
    "grey.jpg": (grey, dict(quality=80)),
    "restarts.jpg": (rgb, dict(quality=60, restart_marker_blocks=2)),
    "inks.jpg": (rgb.convert("CMYK"), dict(quality=90)),
    "lossy.webp": (rgb, dict(quality=75)),
    "lossless.webp": (rgb, dict(lossless=True)),
    "alpha.webp": (rgba, dict(quality=60)),
}
for name, (image, options) in files.items():
    image.save(os.path.join(here, name), **options)
for name in files:
    Image.open(os.path.join(here, name)).convert("RGB").save(os.path.join(here, name + ".ppm"))
os.makedirs(os.path.join(here, "resized"), exist_ok=True)
for w, h in ((61, 20), (24, 47), (24, 18), (14, 90), (122, 94), (1, 1), (200, 3), (60, 46)):
    Image.open(os.path.join(here, "drawing.png")).resize((w, h), Image.BICUBIC).save(os.path.join(here, f"resized/{w}x{h}.ppm"))
