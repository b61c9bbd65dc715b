#!/usr/bin/env python3
"""The chat page in a real browser, against a real server with the shipped model. Prints "ok NAME" or "FAIL NAME: why" for each case;
with an argument only cases whose name contains it. FATHOM_SCREENSHOTS=FOLDER keeps pictures."""
import os
import re
import sys
import traceback

sys.dont_write_bytecode = True
from browser import Fathom, Keys, Page, Recorded, wait

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = []


def case(name):
    def add(function):
        CASES.append((name, function))
        return function
    return add


class World:
    """What the cases share. The slow server makes answers last: one thread of plain C."""

    def __init__(self):
        self.fast = Fathom()
        self.slow = Fathom("--backend", "reference", "--threads", "1")
        self.recorded = Recorded(self.fast)
        self.page = Page()

    def close(self):
        self.page.close()
        self.recorded.close()
        self.fast.close()
        self.slow.close()


LONG = "What is 12 * 34 + 56 * 78 - 91?"


@case("a message is sent by Enter and its answer streams")
def _(world):
    page = world.page.open(world.slow.url)
    page.ask(LONG)
    lengths = set()
    wait("text while it streams", lambda: page.busy())
    while page.busy():
        lengths.add(page.js("return document.querySelector('article.assistant')?.textContent.length ?? 0"))
    assert len(lengths) > 5, f"the answer came in {len(lengths)} pieces"
    article = page.answered()
    assert re.search(r"\d+ tokens · [\d.]+ tokens/s", article.text), article.text
    assert page.find("#prompt").get_attribute("value") == "" and page.focused() == "prompt"
    page.screenshot("answer")


@case("reasoning is folded and opens")
def _(world):
    page = world.page.open(world.fast.url)
    page.ask_and_wait("What is 12 * 7?")
    details = page.find("details.reasoning")
    text = details.find_element("css selector", ".text")
    assert details.is_displayed() and not text.is_displayed(), "it must be there and closed"
    details.find_element("css selector", "summary").click()
    assert text.is_displayed() and text.text.strip(), "it must open"
    assert page.find("article.assistant > .body").text.strip(), "the answer stands beside it"
    page.screenshot("reasoning")


@case("Stop and Esc end an answer, and the next one begins")
def _(world):
    page = world.page.open(world.slow.url)
    for stop in (lambda: page.find("#stop").click(), lambda: page.keys(Keys.ESCAPE)):
        page.ask(LONG)
        wait("the answer's beginning", lambda: page.busy() and page.find("#stop").is_displayed())
        stop()
        page.answered()
        assert page.find("#send").is_displayed() and not page.find("#stop").is_displayed()
    assert page.find("#status").get_attribute("textContent") == "Stopped."
    assert len(page.all("article")) == 4
    assert not page.all(".failed"), "a stopped answer has not failed"


MARKDOWN = r"""# Title

Some *emphasis*, **strength**, `code`, a [link](https://example.org/) and a price of $5 or $6.

1. one
2. two

| a | b |
|---|--:|
| 1 | 2 |

Inline \(a^2 + b^2 = c^2\) and $e^{i\pi}$.

\[ \int_0^1 x^2\,dx = \frac{1}{3} \]

$$
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} \sqrt{x}
$$

```python
def f(x):
    return "text"  # comment
```

A line with <b>HTML</b> & an ampersand.
"""


@case("Markdown, formulas and code are rendered")
def _(world):
    page = world.page.open(world.recorded.url)
    world.recorded.answers["markdown"] = MARKDOWN
    page.ask_and_wait("markdown")
    body = "article.assistant > .body "
    for selector, text in (("h1", "Title"), ("em", "emphasis"), ("strong", "strength"), ("ol > li", "one"), ("td", "1"), ("p > code", "code"),
                           ("a", "link")):
        assert page.find(body + selector).text == text, selector
    assert len(page.all(body + ".katex")) == 4 and len(page.all(body + ".katex-display")) == 2
    fonts = page.js("return [...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)")
    assert any("KaTeX" in f for f in fonts), "the fonts of formulas must load"
    assert page.find(body + "pre .hljs-keyword").text == "def" and page.find(body + "pre .hljs-comment").text == "# comment"
    assert "a price of $5 or $6." in page.find(body).text and "<b>HTML</b> & an" in page.find(body).text
    assert page.find(body + "a").get_attribute("rel") == "noopener noreferrer nofollow"
    page.screenshot("markdown")


@case("XSS payloads are inert")
def _(world):
    page = world.page.open(world.recorded.url)
    with open(os.path.join(HERE, "payloads.txt"), encoding="utf-8") as lines:
        payloads = [line.rstrip("\n") for line in lines]
    assert len(payloads) >= 50
    page.js("""window.pwned = 0; window.violations = [];
        document.addEventListener('securitypolicyviolation', (e) => window.violations.push(e.violatedDirective + ' ' + e.blockedURI));""")
    for i in range(0, len(payloads), 10):  # in a text, and each on its own
        world.recorded.answers[f"some {i}"] = "\n\n".join(payloads[i:i + 10])
        page.ask_and_wait(f"some {i}")
    for i, payload in enumerate(payloads):
        world.recorded.answers[f"one {i}"] = payload
        page.ask_and_wait(f"one {i}")
        assert page.js("return window.pwned") == 0, payload
    for link in page.all("#log article .body a[href]"):
        assert re.match("https?:|mailto:", link.get_attribute("href")), link.get_attribute("href")
        page.js("arguments[0].dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))", link)
    bad = page.js("""const bad = [];
        for (const e of document.querySelectorAll('#log .body *')) {
          if (/^(script|img|iframe|object|embed|base|link|meta|form|input|textarea|select|video|audio|template|style)$/i.test(e.tagName)) bad.push(e.outerHTML);
          for (const a of e.attributes) if (/^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value) || a.name === 'id') bad.push(e.outerHTML);
        }
        return bad;""")
    assert not bad, bad[:3]
    assert page.js("return window.pwned") == 0, "a payload ran"
    assert page.js("return window.violations") == [], page.js("return window.violations")
    assert page.js("return document.getElementById('prompt').tagName") == "TEXTAREA"
    assert page.driver.current_url.startswith(world.recorded.url)


@case("all that matters goes by the keyboard")
def _(world):
    page = world.page.open(world.fast.url)
    page.js("document.querySelector('.skip').focus()")
    order = [page.focused()]
    for _ in range(12):
        page.keys(Keys.TAB)
        order.append(page.focused())
        ring = page.js("return getComputedStyle(document.activeElement).outlineStyle")
        assert ring != "none", f"no ring around {order[-1]}"
        if order[-1] == "send":
            break
    assert order[0] == "Skip to the message field" and order[-1] == "send", order
    for wanted in ("new", "model", "settings", "prompt"):
        assert wanted in order, (wanted, order)
    page.keys(Keys.SHIFT + Keys.TAB)
    page.keys(Keys.NULL, "What is 2 + 2?", Keys.SHIFT + Keys.ENTER, Keys.NULL, "Please", Keys.ENTER)
    page.answered()
    assert page.find("article.user .body").text == "What is 2 + 2?\nPlease"
    page.js("document.getElementById('log').focus()")
    for _ in range(10):
        page.keys(Keys.TAB)
        if page.focused() == "Regenerate":
            break
    assert page.focused() == "Regenerate"
    page.keys(Keys.ENTER)
    page.answered()
    page.find("#settings").send_keys(Keys.ENTER)
    assert page.focused() == "key" or page.js("return document.getElementById('options').open")
    page.keys(Keys.ESCAPE)
    assert not page.js("return document.getElementById('options').open")


@case("a phone of 360 pixels shows everything")
def _(world):
    page = world.page
    page.cdp("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    try:
        page.open(world.recorded.url)
        world.recorded.answers["markdown"] = MARKDOWN + "\n\n" + "verylongword" * 40 + "\n\n$$" + "x + " * 80 + "y$$"
        page.ask_and_wait("markdown")
        assert page.js("return document.scrollingElement.scrollWidth") <= 360
        for selector in ("#prompt", "#send", "#menu", "#model", "#settings"):
            box = page.find(selector).rect
            assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 36, (selector, box)
        page.screenshot("phone")
        assert not page.find("#side").is_displayed()
        page.find("#menu").click()
        wait("the list", lambda: page.find("#conversations .open").is_displayed())
        page.screenshot("phone-list")
        page.keys(Keys.ESCAPE)
        wait("the list to go", lambda: not page.find("#side").is_displayed())
        assert page.focused() == "menu"
    finally:
        page.cdp("Emulation.clearDeviceMetricsOverride")


CONTRAST = """
const lum = (c) => { const v = c.match(/[\\d.]+/g).slice(0, 3).map((x) => { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
const paper = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$|transparent/.test(c)) return c; } return 'rgb(255, 255, 255)'; };
const out = [];
for (const e of document.querySelectorAll('body *')) {
  if (e.offsetParent === null || e.closest('.katex') || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
  const a = lum(getComputedStyle(e).color), b = lum(paper(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) out.push(e.outerHTML.slice(0, 80) + ' ' + ratio.toFixed(2));
}
return [lum(getComputedStyle(document.body).backgroundColor), out];
"""


@case("light and dark have the contrast that WCAG AA asks for")
def _(world):
    page = world.page
    try:
        for scheme in ("light", "dark"):
            page.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            page.open(world.recorded.url)
            world.recorded.answers["markdown"] = MARKDOWN
            page.ask_and_wait("markdown")
            page.screenshot(scheme)
            light, low = page.js(CONTRAST)
            assert (light < 0.1) == (scheme == "dark"), f"{scheme}: the paper's luminance is {light}"
            assert not low, low
        page.find("#settings").click()
        page.find("#theme").send_keys("light")
        page.find("#done").click()
        wait("the light theme", lambda: page.js(CONTRAST)[0] > 0.5)
    finally:
        page.cdp("Emulation.setEmulatedMedia", features=[])


@case("a reload keeps conversations, which can be opened and deleted")
def _(world):
    page = world.page.open(world.fast.url)
    page.ask_and_wait("What is 1 + 1?")
    page.find("#new").click()
    page.ask_and_wait("What is 2 + 2?")
    page.open(world.fast.url, clean=False)
    titles = [b.text for b in page.all("#conversations .open")]
    assert titles == ["What is 2 + 2?", "What is 1 + 1?"], titles
    page.all("#conversations .open")[1].click()
    assert page.find("article.user .body").text == "What is 1 + 1?"
    page.all("#conversations li")[1].find_elements("css selector", "button")[1].click()
    assert [b.text for b in page.all("#conversations .open")] == ["What is 2 + 2?"]
    page.open(world.fast.url, clean=False)
    assert [b.text for b in page.all("#conversations .open")] == ["What is 2 + 2?"]


@case("a message can be edited and an answer made again")
def _(world):
    page = world.page.open(world.fast.url)
    page.ask_and_wait("What is 1 + 1?")
    page.ask_and_wait("What is 2 + 2?")
    page.button("Edit", "article.user").click()
    field = page.find("article textarea")
    field.clear()
    field.send_keys("What is 3 + 3?")
    page.button("Send again").click()
    wait("the edited message", lambda: [m.text for m in page.all("article.user .body")] == ["What is 3 + 3?"])
    page.answered()
    assert len(page.all("article")) == 2, "what followed the edited message is gone"
    page.button("Regenerate").click()
    page.answered()
    assert len(page.all("article")) == 2


@case("a server that restarts in mid-stream leaves a clear retry")
def _(world):
    page = world.page.open(world.slow.url)
    page.ask(LONG)
    wait("some of the answer", lambda: page.busy() and page.js(
        "return (document.querySelector('article.assistant .text')?.textContent.length ?? 0) > 3"))
    world.slow.kill()
    page.answered()
    failed = page.find(".failed")
    assert "connection broke off" in failed.text and failed.get_attribute("role") == "alert", failed.text
    page.screenshot("failed")
    page.button("Retry").click()
    wait("the server to be missed", lambda: page.all(".failed") and "cannot be reached" in page.find(".failed").text)
    world.slow.start()
    page.button("Retry").click()
    wait("the retry", lambda: not page.all(".failed"))
    page.answered()
    assert not page.all(".failed") and len(page.all("article")) == 2
    assert page.find("article.assistant").text.strip()


@case("the model that is picked is asked, and stays picked")
def _(world):
    page = world.page.open(world.fast.url)
    names = [o.text for o in page.all("#model option")]
    assert names == ["fathom-r1-mini", "deepseek-chat", "deepseek-reasoner"], names
    page.all("#model option")[1].click()
    page.ask_and_wait("What is 2 + 3?")
    assert not page.find("details.reasoning").is_displayed(), "deepseek-chat does not reason"
    page.open(world.fast.url, clean=False)
    assert page.js("return document.getElementById('model').value") == "deepseek-chat"


@case("what a model that draws was told to draw is shown, can be saved, and is kept")
def _(world):
    page = world.page.open(world.fast.url)
    assert not page.find("#draw").is_displayed(), "this model does not draw"
    hand = Fathom("--model", "tests/golden/janus-pro-tiny", "--ctx", "512")
    try:
        page.open(hand.url)
        page.js("localStorage.setItem('fathom.settings', JSON.stringify({ maxTokens: '16' }))")
        page.driver.refresh()
        wait("the button", lambda: page.find("#draw").is_displayed())
        page.find("#draw").click()
        article = page.ask_and_wait("A red circle")
        assert "36 tokens" in article.text and "Save" in article.text and not page.all(".failed"), article.text
        assert page.js("return document.querySelector('article.assistant img.picture').naturalWidth") == 24
        page.screenshot("drawn")
        page.find("#draw").click()
        page.ask_and_wait("And in words?")
        assert not page.all(".failed"), "what was drawn is not asked about"
        page.driver.refresh()
        wait("the kept picture", lambda: page.all("article.assistant img.picture"))
    finally:
        hand.close()


@case("pictures are attached, shown, asked about and kept, where the model looks at them")
def _(world):
    page = world.page.open(world.fast.url)
    assert not page.find("#attach").is_displayed(), "this model has no eyes"
    eyes = Fathom("--model", "tests/golden/janus-pro-tiny", "--ctx", "512")
    try:
        page.open(eyes.url)
        page.js("localStorage.setItem('fathom.settings', JSON.stringify({ maxTokens: '16' }))")
        page.driver.refresh()
        wait("the button", lambda: page.find("#attach").is_displayed())
        files = page.find("#files")
        for name in ("janus-pro-tiny/wide.png", "image/lossy.webp"):
            files.send_keys(os.path.abspath(f"tests/golden/{name}"))
            wait("the picture", lambda: page.js("return document.querySelectorAll('#pictures img').length"))
        wait("both pictures", lambda: len(page.all("#pictures img")) == 2)
        page.find("#pictures button[aria-label='Remove picture 2']").click()
        assert len(page.all("#pictures img")) == 1
        page.screenshot("attached")
        article = page.ask_and_wait("What is in this picture?")
        assert "tokens" in article.text and not page.all(".failed"), article.text
        assert page.js("return document.querySelector('article.user img.picture').naturalWidth") == 60
        assert not page.find("#pictures").is_displayed(), "the message took them"
        page.screenshot("picture")
        page.driver.refresh()
        wait("the kept picture", lambda: page.all("article.user img.picture"))
        page.ask_and_wait("And now?")
        assert not page.all(".failed")
    finally:
        eyes.close()


@case("a key that is missing is asked for and kept; the cost is shown")
def _(world):
    locked = Fathom()
    try:
        key = locked.add_key()
        locked.set_price("fathom-r1-mini", "1000", "500", "2000")
        locked.kill()
        locked.start()
        page = world.page
        page.driver.get(locked.url + "/")
        wait("the question for the key", lambda: page.js("return document.getElementById('options').open"))
        assert "API key" in page.find("#notice").text
        page.find("#key").send_keys(key)
        page.find("#done").click()
        wait("the models", lambda: page.all("#model option"))
        article = page.ask_and_wait("What is 2 + 3?")
        assert re.search(r"tokens/s · 0\.0\d+ USD", article.text), article.text
        page.driver.refresh()
        wait("the models", lambda: page.all("#model option"))
        assert not page.find("#notice").is_displayed()
        page.drain()
        page.complaints = [c for c in page.complaints if "401" not in c]  # the first question was without the key
    finally:
        locked.close()


@case("every control has a name for a screen reader")
def _(world):
    page = world.page.open(world.fast.url)
    page.ask_and_wait("What is 2 + 3?")
    page.cdp("Accessibility.enable")
    tree = page.cdp("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "textbox", "combobox", "link", "navigation", "log", "spinbutton")
    controls = [n for n in tree if not n["ignored"] and n["role"]["value"] in roles]
    nameless = [n["role"]["value"] for n in controls if not n.get("name", {}).get("value")]
    assert len(controls) > 8 and not nameless, nameless
    assert {"main", "navigation", "log", "status"} <= {n["role"]["value"] for n in tree}, "landmarks"
    assert page.js("return document.documentElement.lang") == "en" and page.driver.title


@case("the page can be installed")
def _(world):
    page = world.page.open(world.fast.url)
    manifest = page.cdp("Page.getAppManifest")
    assert manifest["url"].endswith("/page/manifest.webmanifest") and not manifest["errors"], manifest
    errors = [e["errorId"] for e in page.cdp("Page.getInstallabilityErrors")["installabilityErrors"]]
    assert [e for e in errors if e != "in-incognito"] == [], errors


@case("no request leaves the page's server, and the console is quiet")
def _(world):
    page = world.page
    ports = {str(s.port) for s in (world.fast, world.slow)} | {world.recorded.url.rsplit(":", 1)[1]}
    page.open(world.fast.url)
    page.ask_and_wait("What is 2 + 3?")
    seen = page.drain()
    assert len(seen) > 20, len(seen)
    ours = re.compile(r"http://127\.0\.0\.1:\d+/|data:|chrome:|about:")
    assert all(ours.match(url) for url in seen), [u for u in seen if not ours.match(u)][:5]
    assert ports
    quiet = [c for c in page.complaints if "ERR_CONNECTION_REFUSED" not in c and "ERR_INCOMPLETE_CHUNKED" not in c and "ERR_CONNECTION_RESET" not in c]
    assert not quiet, quiet[:5]


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    world = World()
    wrong = 0
    try:
        for name, run in CASES:
            if wanted not in name:
                continue
            try:
                run(world)
                world.page.drain()
                print(f"ok {name}", flush=True)
            except Exception as why:  # a case that fails must not stop the others
                wrong += 1
                line = traceback.extract_tb(why.__traceback__)[1 if len(traceback.extract_tb(why.__traceback__)) > 1 else 0].lineno
                said = " ".join(str(why).split())[:400]
                print(f"FAIL {name}: drive.py:{line}: {type(why).__name__}: {said}", flush=True)
                world.page.screenshot("fail-" + re.sub(r"\W+", "-", name)[:40])
    finally:
        world.close()
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
