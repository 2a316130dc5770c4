// What is loaded and how busy it is, whether the server is there, and the key.

import { ask, connection, Gone, key, Refused } from './ask.js';
import { byId, count, element } from './dom.js';

const EVERY_MS = 3_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
const ROLES = { completion: 'Completion', chat: 'Chat', embedding: 'Embedding' };

let pauseMs = FIRST_PAUSE_MS;
let timer = 0;

/** Look from now on; `hear` gets each new status. */
export function watch(hear) {
  const look = () => {
    clearTimeout(timer);
    lookOnce(hear).finally(() => {
      clearTimeout(timer);
      // A page that nobody sees asks nothing.
      if (!document.hidden) timer = setTimeout(look, byId('gone').hidden ? EVERY_MS : pauseMs);
    });
  };
  byId('try-now').onclick = look;
  byId('key-form').onsubmit = (event) => {
    event.preventDefault();
    key.set(byId('key-field').value.trim());
    look();
  };
  byId('forget').onclick = () => {
    key.set('');
    byId('key-field').value = '';
    look();
  };
  byId('key-field').value = key.get();
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) clearTimeout(timer);
    else look();
  });
  connection.addEventListener('gone', () => {
    showGone();
    clearTimeout(timer);
    timer = setTimeout(look, pauseMs);
  });
  connection.addEventListener('here', showHere);
  connection.addEventListener('done', look);
  connection.addEventListener('refused-key', (event) => refuseKey(event.detail));
  look();
}

async function lookOnce(hear) {
  try {
    const status = await ask('/v1/page/status');
    acceptKey(status.needs_key);
    show(status);
    hear(status);
  } catch (error) {
    if (error instanceof Gone) pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    else if (error instanceof Refused && error.status !== 401) say(error.message, 'bad');
    else if (!(error instanceof Refused)) throw error;
  }
}

function show(status) {
  byId('version').textContent = status.version;
  const n = status.models.reduce((sum, model) => sum + model.n_requests, 0);
  say(n ? `Busy: ${n} ${n === 1 ? 'request' : 'requests'}` : 'Ready', n ? 'busy' : 'good');
  byId('model-list').replaceChildren(...status.models.map(card));
}

function card(model) {
  const isReady = model.state === 'ready';
  const isBusy = model.n_requests > 0;
  const waiting = model.n_waiting ? `, ${count(model.n_waiting)} waiting` : '';
  const busy = isBusy ? `${count(model.n_requests - model.n_waiting)} running${waiting}` : 'idle';
  const tokens = `${count(model.n_evaluated_total)} tokens read, ${count(model.n_generated_total)} written`;
  return element(
    'li',
    { className: 'card model' },
    element('span', { className: 'role' }, ROLES[model.role] ?? model.role),
    element('strong', {}, model.name),
    element(
      'span',
      { className: isReady && !isBusy ? 'state good' : isReady ? 'state busy' : 'state bad' },
      isReady ? busy : model.state,
    ),
    element('span', { className: 'hint' }, model.message || (model.is_remote ? 'on another server' : tokens)),
  );
}

function say(words, kind) {
  const said = byId('connection');
  if (said.textContent !== words) said.textContent = words;
  said.className = `state ${kind}`;
}

function showGone() {
  const words = `The server at ${location.origin} does not answer. What you have typed stays here; `;
  byId('gone-words').textContent = `${words}the page looks for it again by itself.`;
  byId('gone').hidden = false;
  say('Not there', 'bad');
}

function showHere() {
  byId('gone').hidden = true;
  pauseMs = FIRST_PAUSE_MS;
}

function refuseKey(why) {
  const field = byId('key-field');
  const hadNone = !key.get();
  const said = hadNone ? '' : why;
  const isNews = byId('key').hidden || byId('key-form').hidden || byId('key-error').textContent !== said;
  byId('key').hidden = false;
  byId('key-form').hidden = false;
  byId('key-taken').hidden = true;
  byId('key-error').textContent = said;
  field.setAttribute('aria-invalid', String(!hadNone));
  if (isNews) field.focus();
  say(hadNone ? 'A key is needed' : 'The key is wrong', 'bad');
}

function acceptKey(isNeeded) {
  const wasAsked = document.activeElement === byId('key-field');
  byId('key').hidden = !isNeeded;
  byId('key-form').hidden = true;
  byId('key-taken').hidden = false;
  byId('key-error').textContent = '';
  byId('key-field').setAttribute('aria-invalid', 'false');
  if (wasAsked) byId('forget').focus();
}
