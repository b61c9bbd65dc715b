// Markdown, formulas and code to DOM. What a model writes is never trusted: HTML in it is shown as text, what Markdown makes of the rest goes
// through DOMPurify with a short list of elements, and formulas and code are made from texts.
/* global marked, DOMPurify, katex, hljs */

const ALLOWED = {
  ALLOWED_TAGS: ['a', 'blockquote', 'br', 'code', 'del', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre',
    'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
  ALLOWED_ATTR: ['align', 'class', 'href', 'start', 'title'],
  ADD_URI_SAFE_ATTR: ['align', 'start'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
const LONGEST_CODE = 50000; // characters; longer code is shown without colours

function escape(text) {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** An extension of marked for formulas: [pattern at the beginning of the rest, is it a display]. */
function formula(name, level, begins, patterns) {
  return {
    name,
    level,
    start: (text) => text.match(begins)?.index,
    tokenizer(text) {
      for (const [pattern, display] of patterns) {
        const found = pattern.exec(text);
        if (found && found[1].trim()) return { type: name, raw: found[0], text: found[1].trim(), display };
      }
      return undefined;
    },
    renderer: (token) => `<span class="math${token.display ? ' display' : ''}">${escape(token.text)}</span>`,
  };
}

function setUp() {
  marked.use({
    gfm: true,
    breaks: false,
    mangle: false,
    headerIds: false,
    renderer: {
      html: (text) => escape(text),
      image: (href, title, text) => escape(text || href || ''),
      checkbox: (checked) => (checked ? '☑ ' : '☐ '),
    },
    extensions: [
      formula('displays', 'block', /\$\$|\\\[/, [[/^ {0,3}\$\$([\s\S]+?)\$\$[ \t]*(?:\n|$)/, true], [/^ {0,3}\\\[([\s\S]+?)\\\][ \t]*(?:\n|$)/, true]]),
      formula('formulas', 'inline', /\$|\\\(|\\\[/, [
        [/^\$\$([^$]+?)\$\$/, true],
        [/^\\\[([\s\S]+?)\\\]/, true],
        [/^\\\(([\s\S]+?)\\\)/, false],
        [/^\$(?!\s)((?:\\\$|[^$\n])+?)(?<!\s)\$(?!\d)/, false],
      ]),
    ],
  });
}

let ready = false;

function colour(code) {
  const language = [...code.classList].find((c) => c.startsWith('language-'))?.slice(9);
  const text = code.textContent;
  if (!language || !hljs.getLanguage(language) || text.length > LONGEST_CODE) return;
  code.innerHTML = hljs.highlight(language, text, true).value;
}

function addCopy(pre) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', 'Copy code');
  const code = pre.querySelector('code');
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  pre.tabIndex = 0; // it may scroll
  pre.append(button);
}

/** Turns TeX into a formula; what is none stays as it was written. */
function typeset(math) {
  const tex = math.textContent;
  try {
    katex.render(tex, math, { displayMode: math.classList.contains('display'), trust: false, strict: 'ignore', maxExpand: 500, maxSize: 20 });
  } catch {
    math.replaceChildren(Object.assign(document.createElement('code'), { textContent: tex }));
  }
}

/** Puts `text`, which is Markdown, into `element`. */
export function render(element, text) {
  if (!ready) setUp();
  ready = true;
  const made = DOMPurify.sanitize(marked.parse(text), ALLOWED);
  for (const link of made.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
  }
  for (const code of made.querySelectorAll('pre > code')) {
    colour(code);
    addCopy(code.parentElement);
  }
  for (const math of made.querySelectorAll('.math')) {
    typeset(math);
  }
  element.replaceChildren(made);
}
