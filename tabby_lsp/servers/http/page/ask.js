// Asks the server: with the key of this tab, and telling whether the server is there.

const KEY = 'tabby-lsp-key';
const MAX_BODY_BYTES = 1_048_576; // as in gate.py
const TOO_MUCH = 'This is more than 1 MB: remove files, or begin a new conversation.';
const NO_ANSWER = 'The server does not answer.';

/** Tells `gone`, `here`, `refused-key` with why, and `done` when an answer has ended. */
export const connection = new EventTarget();

/** The server has refused; `message` says why and what to do. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Nobody answers. */
export class Gone extends Error {}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? '',
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** The JSON that is answered; raises Refused and Gone. */
export async function ask(path, body, signal) {
  const answer = await send(path, body, signal);
  return whole(() => answer.json(), signal);
}

/** The JSON values of a stream, one after the other; raises Refused and Gone. */
export async function* listen(path, body, signal) {
  const answer = await send(path, body, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let isWhole = false;
  try {
    while (!isWhole) {
      const { done, value } = await whole(() => reader.read(), signal);
      if (done) throw gone();
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines.filter((each) => each.startsWith('data: '))) {
        const data = line.slice('data: '.length);
        isWhole = data === '[DONE]';
        if (isWhole) break;
        const told = JSON.parse(data);
        if (told.error) throw new Refused(503, told.message);
        yield told;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function send(path, body, signal) {
  const headers = {};
  if (key.get()) headers['Authorization'] = `Bearer ${key.get()}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const request = { method: body === undefined ? 'GET' : 'POST', headers, signal, cache: 'no-store' };
  if (body !== undefined) request.body = new Blob([JSON.stringify(body)]);
  // The server hangs up on more, which would look as if it had gone.
  if (request.body?.size > MAX_BODY_BYTES) throw new Refused(413, TOO_MUCH);
  const answer = await whole(() => fetch(path, request), signal);
  connection.dispatchEvent(new Event('here'));
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const refused = new Refused(answer.status, told.message ?? `The server answers ${answer.status}.`);
  if (answer.status === 401) {
    connection.dispatchEvent(new CustomEvent('refused-key', { detail: refused.message }));
  }
  throw refused;
}

/** What fails on the way means that the server has gone, unless it was stopped here. */
async function whole(step, signal) {
  try {
    return await step();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw gone();
  }
}

function gone() {
  connection.dispatchEvent(new Event('gone'));
  return new Gone(NO_ANSWER);
}
