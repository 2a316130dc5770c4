/** `tabby-lsp doctor`, in a terminal of its own that stays to be read. */

import * as vscode from 'vscode';
import type { Program } from './program.ts';

export async function runDoctor(program: Program | undefined): Promise<void> {
  if (!program) {
    void vscode.window.showErrorMessage('There is no tabby-lsp to run: its setting names no program on this machine.');
    return;
  }
  // Behind `python -m tabby_lsp`, and before flags such as `--config`, which it takes too.
  const args = program.args.filter((each) => each !== '--stdio' && each !== 'lsp');
  const firstFlag = args.findIndex((each) => each.startsWith('--'));
  args.splice(firstFlag < 0 ? args.length : firstFlag, 0, 'doctor');
  // A process and not a line for the shell: each shell quotes in its own way.
  const execution = new vscode.ProcessExecution(program.command, args);
  const scope = vscode.workspace.workspaceFolders?.[0] ?? vscode.TaskScope.Global;
  const task = new vscode.Task({ type: 'process' }, scope, 'doctor', 'tabby-lsp', execution, []);
  task.presentationOptions = { focus: true, clear: true };
  await vscode.tasks.executeTask(task);
}
