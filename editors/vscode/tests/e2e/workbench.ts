/** A real workbench: code-server with the packed extension, seen and driven through Chromium. */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium, type Browser, type FrameLocator, type Locator, type Page } from 'playwright-core';

const PATIENCE_MS = Number(process.env['PATIENCE_MS'] ?? 60_000);

const QUIET_SETTINGS = {
  'chat.disableAIFeatures': true,
  'editor.quickSuggestions': { other: 'off', comments: 'off', strings: 'off' },
  'editor.suggestOnTriggerCharacters': false,
  'editor.minimap.enabled': false,
  'extensions.ignoreRecommendations': true,
  'security.workspace.trust.enabled': false,
  'terminal.integrated.gpuAcceleration': 'off',
  'telemetry.telemetryLevel': 'off',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.colorTheme': 'Default Dark Modern',
};

const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function given(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run this with \`make test-vscode\``);
  return value;
}

export interface Opening {
  /** Beside what keeps the workbench quiet. */
  readonly settings?: object;
  /** The user's own `config.toml`. */
  readonly config?: string;
  /** What the chat engine answers, by a part of the question; without them there is no chat model. */
  readonly answers?: { readonly [part: string]: string };
  /** Without the program in the `PATH`. */
  readonly isWithoutServer?: boolean;
  readonly files: { readonly [name: string]: string };
}

/** What node:test says of a test afterwards, and its types do not. */
export interface Ended {
  readonly name: string;
  readonly passed: boolean;
}

export class Workbench {
  readonly page: Page;
  readonly folder: string;
  private readonly root: string;
  private readonly server: ChildProcess;
  private readonly browser: Browser;

  private constructor(root: string, server: ChildProcess, browser: Browser, page: Page) {
    [this.root, this.server, this.browser, this.page] = [root, server, browser, page];
    this.folder = join(root, 'work');
  }

  static async open({ settings = {}, config = '', answers, isWithoutServer = false, files }: Opening): Promise<Workbench> {
    const root = mkdtempSync(join(tmpdir(), 'tabby-lsp-vscode-'));
    write(join(root, 'user', 'User'), 'settings.json', JSON.stringify({ ...QUIET_SETTINGS, ...settings }));
    const own = join(root, 'home', '.config', 'tabby-lsp');
    write(own, 'config.toml', answers ? SCRIPTED : config);
    write(own, 'script.json', JSON.stringify(Object.entries(answers ?? {}).map(([message, text]) => ({ message, text }))));
    for (const [name, text] of Object.entries(files)) {
      write(join(root, 'work'), name, text);
    }
    const environment = environmentOf(root, isWithoutServer);
    const arguments_ = [given('CODE_SERVER'), '--config', join(root, 'none.yaml'), '--user-data-dir', join(root, 'user')];
    arguments_.push('--extensions-dir', join(root, 'extensions'));
    const installing = spawn(process.execPath, [...arguments_, '--install-extension', given('VSIX')], { env: environment });
    const [status] = (await once(installing, 'exit')) as [number];
    assert.equal(status, 0, 'the extension was not installed');
    const flags = ['--bind-addr', '127.0.0.1:0', '--auth', 'none', '--disable-telemetry', '--disable-update-check'];
    const server = spawn(process.execPath, [...arguments_, ...flags], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    const url = await addressOf(server);
    const browser = await chromium.launch({ executablePath: given('CHROMIUM'), args: CHROMIUM_FLAGS });
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${url}?folder=${encodeURIComponent(join(root, 'work'))}`, { waitUntil: 'domcontentloaded' });
    const bench = new Workbench(root, server, browser, page);
    await page.waitForSelector('.monaco-workbench');
    await bench.item.waitFor();
    return bench;
  }

  async close(): Promise<void> {
    await this.browser.close();
    this.server.kill();
    await once(this.server, 'exit');
    // They write down what became of the suggestions, and then are gone.
    await poll(async () => this.servers().length === 0, async () => `the end of ${this.servers().join(', ')}`);
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Our item in the status bar. */
  get item(): Locator {
    return this.page.locator('.statusbar-item', { hasText: 'tabby-lsp' });
  }

  /** What the item says of the state. */
  async waitForState(text: string | RegExp): Promise<void> {
    await this.page.getByRole('button', { name: text }).and(this.page.locator('.statusbar-item-label')).waitFor();
  }

  /** The ghost text once there is some; VSCode may draw it in several pieces. */
  async ghost(): Promise<string> {
    const pieces = this.page.locator('[class*="ghost-text-decoration"]');
    await pieces.first().waitFor();
    return (await pieces.allTextContents()).join('').replaceAll('\u00a0', ' ');
  }

  get chat(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
  }

  async openFile(name: string): Promise<void> {
    await this.page.keyboard.press('Control+P');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(name);
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: name }).first().click();
    await this.page.locator(`.monaco-editor[data-uri$="${name}"] .view-lines`).waitFor();
  }

  async runCommand(title: string): Promise<void> {
    await this.page.keyboard.press('F1');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(`>${title}`);
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().click();
  }

  /** Wait until the newest of the server's answers is this, asking at the cursor until then. */
  async waitForDecision(outcome: string, place: string): Promise<void> {
    const rows = this.page.locator('.quick-input-list .monaco-list-row');
    const texts = async () => {
      await this.runCommand('Trigger Inline Suggestion');
      await this.runCommand('tabby-lsp: Why Was Nothing Shown?');
      await this.page.locator('.quick-input-title', { hasText: 'The last answers' }).waitFor();
      const all = await rows.allTextContents();
      await this.page.keyboard.press('Escape');
      return all[0] ?? '';
    };
    let newest = '';
    await poll(
      async () => (newest = await texts()).includes(outcome) && newest.includes(place),
      async () => `${outcome} at ${place}, but the newest is ${newest}`,
    );
  }

  /** The process ids of our language servers. */
  servers(): number[] {
    const home = `HOME=${join(this.root, 'home')}`;
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.filter((pid) => /tabby.lsp\0--stdio/.test(read(pid, 'cmdline')) && read(pid, 'environ').includes(home)).map(Number);
  }

  /** Answer the question that stands at the top. */
  async answer(question: string, answer: string): Promise<void> {
    const box = this.page.locator('.quick-input-widget', { hasText: question });
    await box.locator('input').fill(answer);
    await this.page.keyboard.press('Enter');
  }

  /** The editor's text once it is this; blanks as the editor has them. */
  async waitForText(wanted: string | RegExp): Promise<void> {
    await poll(async () => {
      const found = await this.text();
      return typeof wanted === 'string' ? found === wanted : wanted.test(found);
    }, async () => `${String(wanted)}, but the text is\n${await this.text()}`);
  }

  async text(): Promise<string> {
    const lines = this.page.locator('.monaco-editor[data-uri] .view-line');
    const placed = await lines.evaluateAll((all) =>
      all.map((line) => {
        const copy = line.cloneNode(true);
        copy.querySelectorAll('[class*="ghost-text"]').forEach((each: { remove(): void }) => each.remove());
        return { top: parseInt(line.style.top, 10), text: copy.textContent ?? '' };
      }),
    );
    return placed
      .sort((a, b) => a.top - b.top)
      .map(({ text }) => text.replaceAll('\u00a0', ' '))
      .join('\n');
  }

  /** Of a failure somebody wants to see the window. */
  async keepIfFailed({ name, passed }: Ended): Promise<void> {
    if (!passed) {
      await this.screenshot(`failed-${name.replaceAll(/\W+/g, '-')}`);
    }
  }

  async screenshot(name: string): Promise<void> {
    const folder = given('SCREENSHOTS');
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }
}

const SCRIPTED = '[engines.script]\nkind = "scripted"\nfile = "script.json"\n[chat]\nengine = "script"\n';

/** A `config.toml` with the starter's weights as a chat model. */
export function chatting(): string {
  return `[chat]\nmodel = ${JSON.stringify(given('CHAT_MODEL'))}\nmax_tokens = 2000\n`;
}

/** Wait until it is so. */
export async function poll(isSo: () => Promise<boolean>, otherwise: () => Promise<string>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, `waited for ${await otherwise()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function environmentOf(root: string, isWithoutServer: boolean): NodeJS.ProcessEnv {
  const home = join(root, 'home');
  mkdirSync(home, { recursive: true });
  const system = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => /^\/(usr\/)?s?bin$/.test(folder));
  const path = isWithoutServer ? system : [given('TABBY_LSP_BIN'), ...system];
  // The extension's processes get the PATH of a login shell.
  writeFileSync(join(home, '.profile'), `export PATH='${path.join(delimiter)}'\n`);
  return { HOME: home, PATH: path.join(delimiter), LANG: 'C.UTF-8', SHELL: '/bin/sh' };
}

async function addressOf(server: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: server.stdout! })) {
    const address = /listening on (http:\S+)/.exec(line)?.[1];
    if (address) {
      server.stdout!.resume();
      return address;
    }
  }
  throw new Error('code-server ended before it listened');
}

function write(folder: string, name: string, text: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

/** What the kernel says of a process; nothing where it has gone. */
function read(pid: string, what: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${what}`, 'utf8');
  } catch {
    return '';
  }
}
