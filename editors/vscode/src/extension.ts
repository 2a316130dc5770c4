/** What VSCode calls: starts the server, and joins the parts. */

import * as vscode from 'vscode';
import { Actions } from './actions.ts';
import { ChatView, VIEW } from './chat/view.ts';
import { Connection } from './connection.ts';
import { runDoctor } from './doctor.ts';
import { showMenu } from './menu.ts';
import { find, parse, type Program } from './program.ts';
import { CLIENT_SECTION, contributedNames, SECTION, toggleCompletion, toggleLanguage } from './settings.ts';
import { StatusItem } from './status.ts';
import { explainSilence } from './why.ts';

const MENU = 'tabby-lsp.menu';
const COMMAND_SETTING = `${CLIENT_SECTION}.server.command`;

let connection: Connection | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const names = contributedNames(context.extension.packageJSON);
  const server = (connection = new Connection(names));
  const status = new StatusItem(server, MENU);
  const chat = new ChatView(server, context.extensionUri);
  const actions = new Actions(server, chat);
  const start = () => startServer(server, status);
  const commands: { readonly [name: string]: () => unknown } = {
    menu: () => showMenu(status),
    restart: start,
    toggleCompletion,
    toggleLanguage: () => inActiveLanguage(toggleLanguage),
    why: () => explainSilence(server),
    openChat: () => chat.open(),
    newChat: () => chat.clear(),
    openSettings: () => vscode.commands.executeCommand('workbench.action.openSettings', `@ext:${context.extension.id}`),
    openLog: () => server.output.show(),
    doctor: () => runDoctor(program()),
    explain: () => actions.here('explain'),
    document: () => actions.here('document'),
    fix: () => actions.here('fix'),
    tests: () => actions.here('tests'),
    edit: () => actions.here('edit'),
  };
  context.subscriptions.push(
    server,
    status,
    chat,
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`tabby-lsp.${name}`, run)),
    vscode.window.registerWebviewViewProvider(VIEW, chat),
    status.onChange((found) => chat.setModel(found?.chat?.model ?? '')),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration(CLIENT_SECTION)) {
        void start();
      } else if (change.affectsConfiguration(SECTION)) {
        void server.settingsChanged();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void server.settingsChanged()),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await connection?.stop();
}

function program(): Program | undefined {
  const wanted = parse(vscode.workspace.getConfiguration().get(COMMAND_SETTING));
  return wanted && find(wanted);
}

async function startServer(server: Connection, status: StatusItem): Promise<void> {
  const found = program();
  const setting: unknown = vscode.workspace.getConfiguration().get(COMMAND_SETTING);
  const trouble = found ? undefined : `${JSON.stringify(setting)} was not found on this machine.`;
  status.setTrouble(trouble);
  await server.restart(found);
  if (trouble !== undefined) {
    void sayHowToInstall(trouble);
  }
}

async function sayHowToInstall(trouble: string): Promise<void> {
  const open = 'Say where it is';
  const how = "Install it from its checkout with `uv tool install '.[local]'` (or pipx), and restart VSCode.";
  if ((await vscode.window.showErrorMessage(`tabby-lsp: ${trouble} ${how}`, open)) === open) {
    // The machine is where this extension runs, and on another machine its settings have a page of their own.
    const page = vscode.env.remoteName === undefined ? 'openSettings' : 'openRemoteSettings';
    await vscode.commands.executeCommand(`workbench.action.${page}`, { query: COMMAND_SETTING });
  }
}

async function inActiveLanguage(act: (language: string) => Promise<unknown>): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language !== undefined) {
    await act(language);
  }
}
