// The conversation: what is asked, what the model is shown for it, and the answer as it comes.

import { connection, Gone, listen, Refused } from './ask.js';
import { announce, byId, count, element, milliseconds } from './dom.js';
import { rendered } from './markdown.js';

const MAX_FILES = 20;
// Below what the server takes, with room for the conversation.
const MAX_TEXT_CHARS = 600_000;

const messages = [];
const files = [];
let model = 'Model';
let asking = null; // what stops the answer that is being given

export function start() {
  byId('chat-form').onsubmit = (event) => {
    event.preventDefault();
    if (!asking) send();
  };
  byId('question').onkeydown = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!asking) send();
    }
  };
  byId('stop').onclick = () => asking?.abort();
  byId('anew').onclick = begin;
  byId('files').onchange = addFiles;
}

/** What the server has says what can be asked. */
export function hear(status) {
  byId('no-chat').hidden = !status.no_chat;
  byId('talk').hidden = Boolean(status.no_chat);
  if (status.no_chat) tellCommand(byId('no-chat'), status.no_chat);
  model = status.models.find((each) => each.role === 'chat')?.name ?? 'Model';
  const select = byId('repository');
  const names = status.repositories.join('\n');
  byId('repository-row').hidden = !names;
  if (select.dataset.names !== names) {
    select.dataset.names = names;
    const options = status.repositories.map((name) => element('option', { value: name }, name));
    select.replaceChildren(element('option', { value: '' }, 'none'), ...options);
  }
}

function tellCommand(place, words) {
  if (place.dataset.words === words) return;
  place.dataset.words = words;
  const parts = words.split('`').map((part, n) => (n % 2 ? element('code', {}, part) : part));
  place.replaceChildren(...parts, ' Then start this server again.');
}

function begin() {
  asking?.abort();
  messages.length = 0;
  for (const said of [...byId('log').querySelectorAll('article')]) said.remove();
  byId('invitation').hidden = false;
  byId('anew').hidden = true;
  byId('question').focus();
}

async function send() {
  const field = byId('question');
  const question = field.value.trim();
  if (!question) return;
  byId('chat-error').textContent = '';
  const own = article('You', 'user', element('p', { className: 'said' }, question));
  const answer = article(model, 'answer');
  answer.classList.add('writing');
  byId('invitation').hidden = true;
  byId('log').append(own, answer);
  follow(true);
  field.value = '';
  messages.push({ role: 'user', content: question });
  asking = new AbortController();
  showAsking(true);
  const heard = { text: '', shown: null, end: null };
  let failure = null;
  try {
    await hearAnswer(answer, heard, asking.signal);
  } catch (error) {
    failure = error;
  }
  const wasStopped = asking.signal.aborted;
  asking = null;
  showAsking(false);
  connection.dispatchEvent(new Event('done'));
  answer.classList.remove('writing');
  if (messages.length === 0) return; // A new conversation has begun.
  if (failure && !wasStopped) fail(failure, heard, { own, answer, question });
  else finish(answer, heard, wasStopped);
}

async function hearAnswer(answer, heard, signal) {
  const body = { messages, files, repository: byId('repository').value };
  const place = element('div', { className: 'body' });
  answer.append(place);
  const draw = drawer(place, heard);
  for await (const told of listen('/v1/page/chat', body, signal)) {
    if (told.shown) place.before(context(told));
    if (told.delta) {
      heard.text += told.delta;
      draw();
    }
    if (told.timings) heard.end = told;
  }
}

/** Draws at most once a frame, and says each paragraph to those who listen when it is whole. */
function drawer(place, heard) {
  let isDue = false;
  let nSaid = 0;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      const isAtEnd = atEnd();
      place.replaceChildren(rendered(heard.text));
      const whole = heard.text.lastIndexOf('\n\n') + 1;
      if (whole > nSaid) announce(heard.text.slice(nSaid, whole));
      nSaid = Math.max(nSaid, whole);
      heard.nSaid = nSaid;
      follow(isAtEnd);
    });
  };
}

function finish(answer, heard, wasStopped) {
  const place = answer.querySelector('.body');
  const isAtEnd = atEnd();
  place?.replaceChildren(rendered(heard.text));
  announce(heard.text.slice(heard.nSaid ?? 0) + (wasStopped ? ' Stopped.' : ' End of the answer.'));
  messages.push({ role: 'assistant', content: heard.text });
  answer.append(element('p', { className: 'hint' }, cost(heard, wasStopped)));
  byId('anew').hidden = false;
  follow(isAtEnd);
}

function cost({ end }, wasStopped) {
  if (wasStopped) return 'Stopped.';
  if (!end) return 'The model has said nothing.';
  const { n_prompt_tokens, n_reused_tokens, n_generated_tokens, total_ms } = end.timings;
  const known = n_reused_tokens ? ` (${count(n_reused_tokens)} known already)` : '';
  const cut = end.finish === 'length' ? 'Cut off at the longest answer that is allowed. ' : '';
  return `${cut}${count(n_prompt_tokens)} tokens read${known}, ${count(n_generated_tokens)} written, ${milliseconds(total_ms)}`;
}

/** What was asked goes back where it was typed; what has come of the answer stays. */
function fail(failure, heard, { own, answer, question }) {
  if (!(failure instanceof Refused || failure instanceof Gone)) console.error(failure);
  messages.pop();
  const field = byId('question');
  field.value = field.value ? `${question}\n${field.value}` : question;
  byId('chat-error').textContent = heard.text
    ? `${failure.message} The answer is not whole; your question is here again.`
    : `${failure.message} Your question is here again.`;
  if (heard.text) answer.classList.add('broken');
  else [own, answer].forEach((each) => each.remove());
  byId('invitation').hidden = Boolean(byId('log').querySelector('article'));
}

function article(who, kind, ...children) {
  const name = element('h3', { className: 'who' }, who);
  return element('article', { className: kind }, name, ...children);
}

/** What the model is shown, and what was left out. */
function context({ shown, left_out }) {
  if (!shown.length && !left_out.length) return '';
  const pieces = shown.map(({ path, text }) =>
    element('details', {}, element('summary', {}, element('code', {}, path)), element('pre', { tabIndex: 0 }, text)),
  );
  const left = left_out.map(({ name, why }) =>
    element('p', { className: 'hint' }, 'Left out of ', element('code', {}, name), `: ${why}.`),
  );
  const n = shown.length;
  const title = n ? `Shown to the model: ${n} ${n === 1 ? 'piece' : 'pieces'}` : 'Left out';
  const order = 'The most important first; what is more than the model can hold is cut from the end.';
  return element(
    'details',
    { className: 'context', open: !n },
    element('summary', {}, title),
    ...(n > 1 ? [element('p', { className: 'hint' }, order)] : []),
    ...pieces,
    ...left,
  );
}

function showAsking(isAsking) {
  byId('stop').hidden = !isAsking;
  byId('send').hidden = isAsking;
  byId('log').setAttribute('aria-busy', String(isAsking));
  if (isAsking) announce('The model is answering.');
}

function atEnd() {
  const log = byId('log');
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

function follow(isWanted) {
  if (isWanted) byId('log').scrollTop = byId('log').scrollHeight;
}

async function addFiles(event) {
  const error = byId('chat-error');
  error.textContent = '';
  for (const file of event.target.files) {
    const name = file.webkitRelativePath || file.name;
    const nChars = files.reduce((sum, each) => sum + each.text.length, 0);
    if (files.some((each) => each.name === name)) continue;
    if (files.length === MAX_FILES || nChars + file.size > MAX_TEXT_CHARS) {
      error.textContent = `${name} is too much: ${MAX_FILES} files and ${count(MAX_TEXT_CHARS)} characters at the most.`;
      continue;
    }
    const text = await file.text();
    if (text.includes('\0')) error.textContent = `${name} is not a text.`;
    else files.push({ name, text });
  }
  event.target.value = '';
  showFiles();
}

function showFiles() {
  const chips = files.map((file) => {
    const drop = element('button', { type: 'button', className: 'small' }, '×');
    drop.setAttribute('aria-label', `Remove ${file.name}`);
    drop.onclick = () => {
      files.splice(files.indexOf(file), 1);
      showFiles();
      byId('files').focus();
    };
    return element('li', {}, file.name, drop);
  });
  byId('file-list').replaceChildren(...chips);
}
