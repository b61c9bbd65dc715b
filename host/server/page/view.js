// Messages and the list of conversations as DOM.
import { picture } from './pictures.js';
import { render } from './render.js';

function element(tag, properties = {}, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
}

function button(label, action, properties = {}) {
  const b = element('button', { type: 'button', textContent: label, ...properties });
  b.addEventListener('click', action);
  return b;
}

function statistics(stats) {
  const parts = [];
  if (stats.tokens) parts.push(`${stats.tokens} tokens`);
  if (stats.perSecond) parts.push(`${stats.perSecond.toFixed(1)} tokens/s`);
  if (stats.cost !== undefined) parts.push(`${stats.cost.toPrecision(2)} ${stats.currency}`);
  if (stats.finish === 'length') parts.push('cut at the longest answer');
  return parts.join(' · ');
}

/** One message. `actions`: edit(text), regenerate(), isLast(). */
export class MessageView {
  constructor(message, actions) {
    this.message = message;
    this.actions = actions;
    this.body = element('div', { className: 'body' });
    this.tools = element('div', { className: 'tools' });
    this.root = element('article', { className: message.role }, element('h2', { textContent: message.role === 'user' ? 'You' : 'Assistant' }));
    if (message.role === 'assistant') {
      this.reasoning = element('div', { className: 'text' });
      this.summary = element('summary', { textContent: 'Reasoning' });
      this.details = element('details', { className: 'reasoning', hidden: true }, this.summary, this.reasoning);
      this.root.append(this.details);
    }
    this.root.append(this.body, this.tools);
    this.update(false);
  }

  /** Shows the message as it is now. */
  update(streaming) {
    const m = this.message;
    this.root.setAttribute('aria-busy', String(streaming));
    if (m.role === 'user') this.body.replaceChildren(...(m.pictures ?? []).map((url) => picture(url, 'Picture that was shown')), m.content);
    else {
      this.details.hidden = !m.reasoning;
      if (this.reasoning.textContent !== m.reasoning) this.reasoning.textContent = m.reasoning ?? '';
      if (m.draws) this.body.replaceChildren(...(m.drawn ?? []).map((url) => picture(url, 'Picture that was drawn')), streaming ? 'Drawing…' : '');
      else render(this.body, m.content);
      this.summary.textContent = streaming && !m.content ? 'Thinking…' : `Reasoning${m.stats?.thought ? ` (${m.stats.thought.toFixed(1)} s)` : ''}`;
    }
    this.tools.replaceChildren(...(streaming ? [] : this.buttons()));
    this.root.querySelector('.failed')?.remove();
    if (m.failed && !streaming) this.root.append(this.failure());
  }

  buttons() {
    const m = this.message;
    if (m.role === 'user') return [button('Edit', () => this.edit())];
    const all = m.draws
      ? (m.drawn ?? []).map((href) => element('a', { href, download: 'drawing.png', textContent: 'Save' }))
      : [button('Copy', () => navigator.clipboard.writeText(m.content), { ariaLabel: 'Copy answer' })];
    if (this.actions.isLast()) all.push(button('Regenerate', this.actions.regenerate));
    if (m.stats) all.push(element('span', { className: 'stats', textContent: statistics(m.stats) }));
    return all;
  }

  failure() {
    const box = element('div', { className: 'failed', role: 'alert' }, element('span', { textContent: this.message.failed }));
    if (this.actions.isLast()) box.append(button('Retry', this.actions.regenerate));
    return box;
  }

  edit() {
    const field = element('textarea', { value: this.message.content, rows: 3, ariaLabel: 'Edit the message' });
    const form = element('form', {}, field, element('div', { className: 'row' },
      element('button', { type: 'submit', textContent: 'Send again' }), button('Cancel', () => { form.replaceWith(this.body); this.tools.hidden = false; })));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.tools.hidden = false;
      if (field.value.trim()) this.actions.edit(field.value);
    });
    this.body.replaceWith(form);
    this.tools.hidden = true;
    field.focus();
  }
}

/** Fills the list of conversations. */
export function listConversations(list, conversations, current, open, remove) {
  list.replaceChildren(...conversations.filter((c) => c.messages.length).map((c) => element('li', {},
    button(c.title || 'New chat', () => open(c), { className: 'open', ariaCurrent: String(c === current), title: c.title }),
    button('✕', () => remove(c), { ariaLabel: `Delete ${c.title}` }))));
}
