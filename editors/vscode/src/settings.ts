/** The user's settings: what is told to the server, and what the menu switches. */

import * as vscode from 'vscode';

/** The section that the server asks for; what stands in it comes from `tabby_lsp/config/`. */
export const SECTION = 'tabby-lsp';
/** Our own, which the server never sees. */
export const CLIENT_SECTION = 'tabbyLsp';

type Values = { [key: string]: unknown };

/**
 * What somebody has set, by dotted name.
 *
 * A default must not be among it: to the server it would be the editor's wish, and stand over the
 * user's own `config.toml`.
 */
export function explicitSettings(names: readonly string[]): Values {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const values: Values = {};
  for (const name of names) {
    const value = explicit(configuration, name);
    if (value !== undefined) {
      values[name] = value;
    }
  }
  return values;
}

/** The names of the settings that package.json contributes to the section, without the section. */
export function contributedNames(packageJson: unknown): string[] {
  const { contributes } = packageJson as {
    contributes: { configuration: { properties: Values }[] };
  };
  return contributes.configuration
    .flatMap(({ properties }) => Object.keys(properties))
    .filter((name) => name.startsWith(`${SECTION}.`))
    .map((name) => name.slice(SECTION.length + 1));
}

/** Switch `completion.enabled`, where it is set, or else for the user. Whether it is on now. */
export async function toggleCompletion(): Promise<boolean> {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const isOn = !configuration.get('completion.enabled', true);
  await configuration.update('completion.enabled', isOn, levelOf(configuration, 'completion.enabled'));
  return isOn;
}

/** Put a language on the list of those in which nothing is offered, or take it away. */
export async function toggleLanguage(language: string): Promise<boolean> {
  const name = 'completion.disabledLanguages';
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const listed = configuration.get<string[]>(name, []);
  const others = listed.filter((each) => each !== language);
  const isOn = others.length < listed.length;
  await configuration.update(name, isOn ? others : [...listed, language], levelOf(configuration, name));
  return isOn;
}

/** Why nothing is offered by these settings; undefined where something is. */
export function switchedOff(language: string | undefined): 'everywhere' | 'language' | undefined {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  if (!configuration.get('completion.enabled', true)) {
    return 'everywhere';
  }
  const listed = configuration.get<string[]>('completion.disabledLanguages', []);
  return language !== undefined && listed.includes(language) ? 'language' : undefined;
}

function explicit(configuration: vscode.WorkspaceConfiguration, name: string): unknown {
  const found = configuration.inspect(name);
  return found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue;
}

function levelOf(configuration: vscode.WorkspaceConfiguration, name: string): vscode.ConfigurationTarget {
  const isWorkspaces = configuration.inspect(name)?.workspaceValue !== undefined;
  return isWorkspaces ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
}
