// Makes and finds elements. Text goes in as text and never as HTML.

export const byId = (id) => document.getElementById(id);

/** An element; `attributes` may hold properties such as `onclick`, children may be texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Said to those who listen to the page, after what is being said. */
export function announce(text) {
  const said = byId('announced');
  while (said.childElementCount > 20) said.firstChild.remove();
  said.append(element('p', {}, text));
}

/** A block of code with a button that copies it. */
export function codeBlock(code, language = '') {
  const copy = element('button', { type: 'button', className: 'small' }, 'Copy');
  copy.setAttribute('aria-label', language ? `Copy the ${language} code` : 'Copy the code');
  copy.onclick = async () => {
    copy.textContent = (await copied(code)) ? 'Copied' : 'Cannot copy';
    announce(copy.textContent);
    setTimeout(() => (copy.textContent = 'Copy'), 2000);
  };
  return element(
    'div',
    { className: 'block' },
    element('div', { className: 'block-bar' }, element('span', {}, language), copy),
    element('pre', { tabIndex: 0 }, element('code', {}, code)),
  );
}

/** Pages that came over plain HTTP from another machine have no clipboard but the old one. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const field = element('textarea', { value: text, className: 'unseen' });
    document.body.append(field);
    field.select();
    const isDone = document.execCommand('copy');
    field.remove();
    focused?.focus();
    return isDone;
  }
}

export const count = (n) => n.toLocaleString('en');

export const milliseconds = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`);
