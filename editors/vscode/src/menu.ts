/** What a click on the status bar offers. */

import * as vscode from 'vscode';
import type { StatusItem } from './status.ts';
import { switchedOff } from './settings.ts';

interface Choice extends vscode.QuickPickItem {
  readonly command?: string;
}

export async function showMenu(status: StatusItem): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const choice = await vscode.window.showQuickPick(choices(language), {
    title: status.status ? `tabby-lsp ${status.status.version}` : 'tabby-lsp',
    placeHolder: status.detail,
  });
  if (choice?.command !== undefined) {
    await vscode.commands.executeCommand(choice.command);
  }
}

function choices(language: string | undefined): Choice[] {
  const line = { label: '', kind: vscode.QuickPickItemKind.Separator };
  const off = switchedOff(language);
  const all = off === 'everywhere' ? 'on' : 'off';
  const one = off === 'language' ? 'on' : 'off';
  return [
    { label: `$(circle-slash) Switch completion ${all}`, command: 'tabby-lsp.toggleCompletion' },
    ...(language === undefined || off === 'everywhere'
      ? []
      : [{ label: `$(circle-slash) Switch completion ${one} in ${language}`, command: 'tabby-lsp.toggleLanguage' }]),
    { label: '$(question) Why was nothing shown?', command: 'tabby-lsp.why' },
    line,
    { label: '$(comment-discussion) Open chat', command: 'tabby-lsp.openChat' },
    { label: '$(settings-gear) Settings', command: 'tabby-lsp.openSettings' },
    line,
    { label: '$(output) Log', command: 'tabby-lsp.openLog' },
    { label: '$(debug-restart) Restart', command: 'tabby-lsp.restart' },
    { label: '$(pulse) Examine this machine', description: 'tabby-lsp doctor', command: 'tabby-lsp.doctor' },
  ];
}
