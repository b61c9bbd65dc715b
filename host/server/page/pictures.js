// Pictures that go with the next message: chosen, pasted or dropped; kept as data URLs, small enough for the browser's storage.

const KINDS = ['image/png', 'image/jpeg', 'image/webp'];
const LARGEST = 1 << 20; // bytes that are sent as they are
const SIDE = 1536; // of a larger one, made smaller here

function readAs(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(reader.result));
    reader.addEventListener('error', () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

async function smaller(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = Object.assign(document.createElement('canvas'), { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', 0.92); });
}

/** An element that shows a picture of a data URL. */
export function picture(url, alt) {
  return Object.assign(document.createElement('img'), { src: url, alt, className: 'picture' });
}

/** The row of pictures above the message field. `complain(text)` is told what is no picture. */
export class Attachments {
  constructor(row, complain) {
    this.row = row;
    this.complain = complain;
    this.urls = [];
  }

  async add(files) {
    for (const file of files) {
      try {
        const fits = KINDS.includes(file.type) && file.size <= LARGEST;
        this.urls.push(await readAs(fits ? file : await smaller(file)));
      } catch {
        this.complain(`${file.name || 'What was pasted'} is no picture that this browser can read.`);
      }
    }
    this.show();
  }

  show() {
    this.row.hidden = !this.urls.length;
    this.row.replaceChildren(...this.urls.map((url, i) => {
      const remove = Object.assign(document.createElement('button'), { type: 'button', textContent: '✕', ariaLabel: `Remove picture ${i + 1}` });
      remove.addEventListener('click', () => { this.urls.splice(i, 1); this.show(); });
      const one = document.createElement('span');
      one.append(picture(url, `Picture ${i + 1} of the next message`), remove);
      return one;
    }));
  }

  /** The pictures, which the next message takes. */
  take() {
    const urls = this.urls;
    this.urls = [];
    this.show();
    return urls;
  }
}

/** A message's content as the API takes it. */
export function contentOf({ content, pictures }) {
  if (!pictures?.length) return content;
  return [...pictures.map((url) => ({ type: 'image_url', image_url: { url } })), { type: 'text', text: content }];
}
