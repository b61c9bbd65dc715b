// The page: a conversation, its messages, and what the buttons do.
import { ApiError, draw, listModels, stream } from './api.js';
import { Attachments, contentOf } from './pictures.js';
import * as store from './store.js';
import { MessageView, listConversations } from './view.js';

const $ = (id) => document.getElementById(id);
const { settings } = store;

let models = [];
let current = null; // the conversation that is shown
let views = []; // of its messages
let attached = null; // the pictures of the next message
let running = null; // {abort, conversation} while an answer streams

/* ---- what is shown ---- */

function notice(text) {
  $('notice').textContent = text ?? '';
  $('notice').hidden = !text;
}

function say(text) {
  $('status').textContent = text;
}

function atEnd() {
  const log = $('log');
  return log.scrollHeight - log.scrollTop - log.clientHeight < 60;
}

function toEnd() {
  $('log').scrollTop = $('log').scrollHeight;
}

function showList() {
  listConversations($('conversations'), store.conversations, current, open, (one) => {
    if (running?.conversation === one) running.abort.abort();
    store.remove(one);
    if (one === current) open(null);
    showList();
  });
}

function viewOf(index) {
  const { messages } = current;
  return new MessageView(messages[index], {
    edit: (text) => resend(index, text),
    regenerate: () => answerAgain(index),
    isLast: () => index === messages.length - 1,
  });
}

/** Brings the view up to date with the messages: those that are gone leave, new ones come, what was the last one is shown anew. */
function showNew() {
  const { messages } = current;
  const kept = views.findIndex((v, i) => v.message !== messages[i]);
  const gone = kept < 0 ? [] : views.splice(kept);
  for (const view of gone) view.root.remove();
  views.at(-1)?.update(false);
  $('log').querySelector('.empty')?.remove();
  while (views.length < messages.length) {
    views.push(viewOf(views.length));
    $('log').append(views.at(-1).root);
  }
  toEnd();
}

function showMessages() {
  views = current ? current.messages.map((_, i) => viewOf(i)) : [];
  $('log').replaceChildren(...views.map((v) => v.root));
  if (!views.length) {
    const empty = document.createElement('p');
    empty.className = 'empty';
    empty.textContent = 'What would you like to know?';
    $('log').append(empty);
  }
  toEnd();
}

function open(conversation) {
  if (running && running.conversation !== conversation) running.abort.abort();
  current = conversation;
  showMenu(false);
  showMessages();
  showList();
  $('prompt').focus();
}

function showMenu(shown) {
  $('side').classList.toggle('shown', shown);
  $('shade').hidden = !shown;
  $('menu').setAttribute('aria-expanded', String(shown));
  if (shown) $('new').focus();
}

function showRunning() {
  $('send').hidden = Boolean(running);
  $('stop').hidden = !running;
}

function applyTheme() {
  if (settings.theme) document.documentElement.dataset.theme = settings.theme;
  else delete document.documentElement.dataset.theme;
}

/* ---- models and errors ---- */

function explain(why) {
  if (!(why instanceof ApiError)) return String(why.message ?? why);
  if (why.status === 0) return `${why.message} Is the server running? Your message is kept.`;
  if (why.status === 401) return `${why.message} Enter your API key under Settings.`;
  if (why.retryAfter) return `${why.message} Try again in ${why.retryAfter} s.`;
  return why.message;
}

async function loadModels() {
  try {
    models = await listModels(settings.key);
    notice(null);
  } catch (why) {
    notice(explain(why));
    if (why.status === 401) openSettings();
    return;
  }
  $('model').replaceChildren(...models.map((m) => new Option(m.id, m.id)));
  if (models.some((m) => m.id === settings.model)) $('model').value = settings.model;
  showAbilities();
}

const chosen = () => models.find((m) => m.id === $('model').value);

/** Whether the chosen model takes pictures. */
function looks() {
  return Boolean(chosen()?.input_modalities?.includes('image'));
}

/** Whether the next message says what to draw. */
function draws() {
  return !$('draw').hidden && $('draw').getAttribute('aria-pressed') === 'true';
}

function setDraws(on) {
  $('draw').setAttribute('aria-pressed', String(on));
  $('prompt').placeholder = on ? 'What to draw' : 'Ask anything';
}

function showAbilities() {
  $('attach').hidden = !looks();
  $('draw').hidden = !chosen()?.output_modalities?.includes('image');
  if ($('draw').hidden) setDraws(false);
}

/* ---- answers ---- */

function requestOf(conversation) {
  const messages = conversation.messages.slice(0, -1).filter((m) => m.content && !m.draws).map((m) => ({ role: m.role, content: contentOf(m) }));
  if (settings.system) messages.unshift({ role: 'system', content: settings.system });
  const request = { model: $('model').value, messages, stream: true, stream_options: { include_usage: true } };
  if (settings.temperature !== '') request.temperature = Number(settings.temperature);
  if (settings.maxTokens !== '') request.max_tokens = Number(settings.maxTokens);
  return request;
}

/** What an answer took, by the clock of this page and the server's count. */
class Meter {
  constructor() {
    this.start = performance.now();
  }

  take(event) {
    const now = performance.now();
    const delta = event.choices?.[0]?.delta ?? {};
    if (delta.reasoning_content || delta.content) {
      this.first ??= now;
      this.last = now;
      if (delta.content) this.answered ??= now;
    }
    if (event.choices?.[0]?.finish_reason) this.finish = event.choices[0].finish_reason;
    if (event.usage) this.usage = event.usage;
  }

  stats() {
    const seconds = (this.last - this.first) / 1000;
    const tokens = this.usage?.completion_tokens;
    return {
      tokens,
      perSecond: tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : undefined,
      thought: this.answered && this.answered > this.first ? (this.answered - this.first) / 1000 : undefined,
      finish: this.finish,
    };
  }
}

/** The cost by the model's price, where the server tells one: per million tokens. */
function costOf(usage) {
  const price = chosen()?.pricing;
  if (!price || !usage) return {};
  const hit = usage.prompt_cache_hit_tokens ?? 0;
  const cost = (hit * price.input_cache_hit + (usage.prompt_tokens - hit) * price.input + usage.completion_tokens * price.output) / 1e6;
  return { cost, currency: price.currency };
}

async function receive(message, view, abort) {
  const meter = new Meter();
  let due = 0;
  const show = () => {
    due = 0;
    const follow = atEnd();
    view.update(true);
    if (follow) toEnd();
  };
  try {
    for await (const event of stream(requestOf(running.conversation), settings.key, abort.signal)) {
      meter.take(event);
      const delta = event.choices?.[0]?.delta ?? {};
      message.reasoning += delta.reasoning_content ?? '';
      message.content += delta.content ?? '';
      due ||= requestAnimationFrame(show);
    }
  } finally {
    cancelAnimationFrame(due);
    message.stats = { ...meter.stats(), ...costOf(meter.usage) };
  }
}

/** A picture in the place of an answer. What was drawn is no part of what the model is asked later. */
async function receiveDrawing(message, prompt, abort) {
  const { pictures, usage } = await draw({ model: $('model').value, prompt }, settings.key, abort.signal);
  message.drawn = pictures;
  message.stats = { tokens: usage.output_tokens, ...costOf({ prompt_tokens: usage.input_tokens, completion_tokens: usage.output_tokens }) };
}

/** Answers the last message of the conversation. */
async function answer(conversation) {
  const asked = conversation.messages.at(-1);
  const message = { role: 'assistant', content: '', reasoning: '', ...(asked.draws ? { draws: true } : {}) };
  conversation.messages.push(message);
  const abort = new AbortController();
  running = { abort, conversation };
  showRunning();
  showNew();
  const view = views.at(-1);
  view.update(true);
  say('The answer begins.');
  try {
    await (asked.draws ? receiveDrawing(message, asked.content, abort) : receive(message, view, abort));
    say(asked.draws ? 'The picture is drawn.' : 'The answer is complete.');
  } catch (why) {
    if (why.name === 'AbortError') message.stats = { ...message.stats, finish: 'stopped' };
    else message.failed = explain(why);
    say(message.failed ?? 'Stopped.');
    if (why.status === 401) openSettings();
  }
  running = null;
  showRunning();
  if (!store.save()) notice('The browser’s room is used up: the oldest conversations were deleted.');
  if (current === conversation) view.update(false);
  showList();
}

async function send(text, { pictures, draws: drawn }) {
  if (running || !text.trim()) return;
  if (!current) current = store.create();
  current.title ||= text.trim().slice(0, 60);
  current.messages.push({ role: 'user', content: text, ...(pictures?.length ? { pictures } : {}), ...(drawn ? { draws: true } : {}) });
  store.save(); // kept from here on, whatever happens to the answer
  showList();
  await answer(current);
}

async function resend(index, text) {
  if (running) return;
  const before = current.messages[index];
  current.messages.length = index;
  await send(text, before);
}

async function answerAgain(index) {
  if (running) return;
  current.messages.length = index;
  await answer(current);
}

/* ---- settings ---- */

const FIELDS = { key: 'key', system: 'system', temperature: 'temperature', 'max-tokens': 'maxTokens', theme: 'theme' };

function openSettings() {
  for (const [id, name] of Object.entries(FIELDS)) $(id).value = settings[name];
  if ($('options').open) return;
  $('prompt').blur(); // Chromium types no text into a field that a dialog gives the focus back to
  $('options').showModal();
}

function closeSettings() {
  for (const [id, name] of Object.entries(FIELDS)) settings[name] = $(id).value.trim();
  store.saveSettings();
  applyTheme();
  loadModels();
  if (document.activeElement === document.body) $('prompt').focus();
}

/* ---- wiring ---- */

function submit() {
  const text = $('prompt').value;
  if (running || !text.trim()) return;
  $('prompt').value = '';
  fit();
  send(text, draws() ? { draws: true } : { pictures: attached.take() });
}

function fit() {
  const field = $('prompt');
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight + 2}px`;
}

function wirePictures() {
  attached = new Attachments($('pictures'), notice);
  const take = (event, files) => {
    const pictures = [...(files ?? [])].filter((f) => f.type.startsWith('image/'));
    if (!pictures.length || !looks()) return;
    event.preventDefault();
    attached.add(pictures);
  };
  $('attach').addEventListener('click', () => $('files').click());
  $('files').addEventListener('change', () => { attached.add([...$('files').files]); $('files').value = ''; $('prompt').focus(); });
  $('prompt').addEventListener('paste', (event) => take(event, event.clipboardData?.files));
  document.addEventListener('dragover', (event) => { if (looks()) event.preventDefault(); });
  document.addEventListener('drop', (event) => take(event, event.dataTransfer?.files));
}

function wire() {
  wirePictures();
  $('compose').addEventListener('submit', (event) => { event.preventDefault(); submit(); });
  $('prompt').addEventListener('input', fit);
  $('prompt').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || $('options').open) return;
    if ($('side').classList.contains('shown')) { showMenu(false); $('menu').focus(); } else running?.abort.abort();
  });
  $('stop').addEventListener('click', () => { running?.abort.abort(); $('prompt').focus(); });
  $('new').addEventListener('click', () => open(null));
  $('menu').addEventListener('click', () => showMenu(!$('side').classList.contains('shown')));
  $('shade').addEventListener('click', () => showMenu(false));
  $('settings').addEventListener('click', openSettings);
  $('options').addEventListener('close', closeSettings);
  $('erase').addEventListener('click', () => {
    if (!confirm('Delete all conversations in this browser?')) return;
    store.removeAll();
    open(null);
  });
  $('model').addEventListener('change', () => { settings.model = $('model').value; store.saveSettings(); showAbilities(); });
  $('draw').addEventListener('click', () => { setDraws(!draws()); $('prompt').focus(); });
}

applyTheme();
wire();
open(store.conversations[0] ?? null);
loadModels();
