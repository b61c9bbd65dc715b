// What is kept, in this browser alone: conversations and settings.

const CONVERSATIONS = 'fathom.conversations';
const SETTINGS = 'fathom.settings';

function read(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export const settings = { key: '', system: '', temperature: '', maxTokens: '', theme: '', model: '', ...read(SETTINGS, {}) };

export function saveSettings() {
  localStorage.setItem(SETTINGS, JSON.stringify(settings));
}

/** [{id, title, messages: [{role, content, pictures, draws, drawn, reasoning, stats, failed}]}], the newest first. */
export let conversations = read(CONVERSATIONS, []);

/** Saves; where the browser's room is used up, the oldest conversations go. Returns false when some had to. */
export function save() {
  for (let kept = conversations.length; ; kept--) {
    try {
      localStorage.setItem(CONVERSATIONS, JSON.stringify(conversations.slice(0, kept)));
      const all = kept === conversations.length;
      conversations = conversations.slice(0, kept);
      return all;
    } catch (why) {
      if (kept <= 1) throw why;
    }
  }
}

export function create() {
  const one = { id: crypto.randomUUID?.() ?? String(Date.now() + Math.random()), title: '', messages: [] };
  conversations.unshift(one);
  return one;
}

export function remove(one) {
  conversations = conversations.filter((other) => other !== one);
  save();
}

export function removeAll() {
  conversations = [];
  save();
}
