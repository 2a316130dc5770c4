import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookOf, type Facts } from '../src/look.ts';
import type { EngineStatus } from '../src/wire.ts';

const ENGINE: EngineStatus = { state: 'ready', model: 'starter', languages: ['python'], message: '', is_remote: false };

function check(facts: Partial<Facts>, engine: Partial<EngineStatus>, text: string, detail: RegExp, level = 'plain'): void {
  const status = { version: '1', config: '', engine: { ...ENGINE, ...engine } };
  const look = lookOf({ phase: 'running', trouble: undefined, status, off: undefined, language: 'python', ...facts });
  assert.deepEqual([look.text, look.level], [`$(${text}) tabby-lsp`, level]);
  assert.match(look.detail, detail);
}

test('a model that is ready is named, with the machine that runs it', () => {
  check({}, {}, 'sparkle', /Ready: the model starter, on this machine\./);
  check({}, { is_remote: true }, 'sparkle', /on a server/);
});

test('what passes by itself turns', () => {
  check({ phase: 'starting', status: undefined }, {}, 'loading~spin', /Starting/);
  check({}, { state: 'loading' }, 'loading~spin', /Loading the model starter/);
});

test('a failure is shown before anything that is switched off', () => {
  check({ off: 'everywhere' }, { state: 'failed', message: 'No such file.' }, 'error', /No such file\./, 'error');
  check({ trouble: 'Not found.' }, {}, 'error', /Not found\./, 'error');
  check({ phase: 'failed', status: undefined }, {}, 'error', /log says why/, 'error');
});

test('a server that cannot be asked now is a warning', () => {
  check({}, { state: 'away', message: 'Nobody answers.' }, 'debug-disconnect', /Nobody answers\./, 'warning');
});

test('silence has its reason', () => {
  check({ off: 'everywhere' }, {}, 'circle-slash', /Switched off\./);
  check({ off: 'language' }, {}, 'circle-slash', /Switched off in python\./);
  check({ language: 'go' }, {}, 'circle-slash', /knows python only, and is silent in go/);
  check({ language: 'go' }, { languages: [] }, 'sparkle', /Ready/);
  check({ language: undefined }, { state: 'unloaded' }, 'sparkle', /when it is first needed/);
});
