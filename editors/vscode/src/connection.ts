/**
 * The language server's process, and every question to it.
 *
 * Ghost text comes with vscode-languageclient; only what the protocol does not have stands here.
 */

import * as vscode from 'vscode';
import {
  CloseAction,
  DidChangeConfigurationNotification,
  ExecuteCommandRequest,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  WorkDoneProgress,
  type Middleware,
  type WorkDoneProgressBegin,
  type WorkDoneProgressEnd,
  type WorkDoneProgressReport,
} from 'vscode-languageclient/node';
import type { Program } from './program.ts';
import { explicitSettings, SECTION } from './settings.ts';
import { CHAT_DELTA, type ChatDelta } from './wire.ts';

export type Progress = WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd;
export type Phase = 'stopped' | 'starting' | 'running' | 'failed';

const DOCUMENTS = [{ scheme: 'file' }, { scheme: 'untitled' }];
const STOP_TIMEOUT_MS = 5000;

/** Lives as long as the extension; its client as long as one run of the server. */
export class Connection implements vscode.Disposable {
  readonly output = vscode.window.createOutputChannel('tabby-lsp', { log: true });
  private readonly phases = new vscode.EventEmitter<Phase>();
  private readonly deltas = new vscode.EventEmitter<ChatDelta>();
  private readonly signs = new vscode.EventEmitter<void>();
  /** Another phase. */
  readonly onPhase = this.phases.event;
  readonly onDelta = this.deltas.event;
  /** The server has done something after which `tabby.status` may say something else. */
  readonly onSign = this.signs.event;
  /** Takes a command of the server that the view wants to run itself; false lets it pass. */
  takeCommand: (command: string, argument: unknown) => boolean = () => false;

  private client: LanguageClient | undefined;
  private current: Phase = 'stopped';
  private turn: Promise<void> = Promise.resolve();
  private readonly settingNames: readonly string[];

  constructor(settingNames: readonly string[]) {
    this.settingNames = settingNames;
  }

  get phase(): Phase {
    return this.current;
  }

  /** Start the program, in the place of the one that runs; with none, only stop that. */
  restart(program: Program | undefined): Promise<void> {
    // One after the other: settings change in bursts.
    this.turn = this.turn.then(async () => {
      await this.stop();
      if (program) {
        await this.start(program);
      }
    });
    return this.turn;
  }

  /** Ask one of the server's commands. Rejects with its error, or when it is not running. */
  async execute<T>(
    command: string,
    argument?: unknown,
    token?: vscode.CancellationToken,
    workDoneToken?: string,
  ): Promise<T> {
    if (!this.client || this.current !== 'running') {
      throw new Error('tabby-lsp is not running. The status bar says why.');
    }
    const params = {
      command,
      arguments: argument === undefined ? [] : [argument],
      ...(workDoneToken === undefined ? {} : { workDoneToken }),
    };
    return (await this.client.sendRequest(ExecuteCommandRequest.type, params, token)) as T;
  }

  /** What the server says of one piece of work, until the answer is disposed of. */
  onProgress(workDoneToken: string, take: (progress: Progress) => void): vscode.Disposable {
    return this.client?.onProgress(WorkDoneProgress.type, workDoneToken, take) ?? { dispose() {} };
  }

  /** The settings have changed: the server asks for them. */
  async settingsChanged(): Promise<void> {
    if (this.current === 'running') {
      await this.client?.sendNotification(DidChangeConfigurationNotification.type, { settings: null });
      this.signs.fire();
    }
  }

  dispose(): void {
    for (const each of [this.phases, this.deltas, this.signs, this.output]) {
      each.dispose();
    }
  }

  private async start({ command, args }: Program): Promise<void> {
    const flags = args.includes('--stdio') ? args : [...args, '--stdio'];
    const client: LanguageClient = new LanguageClient(
      'tabby-lsp',
      'tabby-lsp',
      { command, args: [...flags] },
      {
        documentSelector: DOCUMENTS,
        outputChannel: this.output,
        // Messages come as messages; the log is for those who open it.
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationFailedHandler: () => false,
        errorHandler: {
          error: (...args) => usual.error(...args),
          // One that has never answered would not do so the next time either.
          closed: () =>
            hasAnswered ? usual.closed() : { action: CloseAction.DoNotRestart, handled: true },
        },
        middleware: this.middleware(),
      },
    );
    const usual = client.createDefaultErrorHandler();
    let hasAnswered = false;
    this.client = client;
    client.onDidChangeState(({ newState }) => {
      hasAnswered = newState === State.Running || (hasAnswered && newState === State.Stopped);
      if (this.client === client) {
        this.enter(PHASES[newState]);
      }
    });
    client.onNotification(CHAT_DELTA, (delta: ChatDelta) => this.deltas.fire(delta));
    try {
      await client.start();
    } catch (error) {
      this.output.error(`${command} did not start`, error);
      this.enter('failed');
    }
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client) {
      await client.dispose(STOP_TIMEOUT_MS).catch((error: unknown) => this.output.warn(String(error)));
    }
    this.enter('stopped');
  }

  private enter(phase: Phase): void {
    if (phase !== this.current) {
      this.current = phase;
      this.phases.fire(phase);
    }
  }

  private middleware(): Middleware {
    return {
      executeCommand: (command, args, next) =>
        this.takeCommand(command, args[0]) ? undefined : next(command, args),
      handleWorkDoneProgress: (token, params, next) => {
        next(token, params);
        this.signs.fire();
      },
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        const answer = await next(document, position, context, token);
        this.signs.fire();
        return answer;
      },
      workspace: {
        configuration: async (params, token, next) => {
          const answers = await next(params, token);
          return Array.isArray(answers)
            ? params.items.map(({ section }, n) =>
                section === SECTION ? explicitSettings(this.settingNames) : answers[n],
              )
            : answers;
        },
      },
    };
  }
}

const PHASES: { readonly [state in State]: Phase } = {
  [State.Stopped]: 'failed',
  [State.Starting]: 'starting',
  [State.Running]: 'running',
  [State.StartFailed]: 'failed',
};
