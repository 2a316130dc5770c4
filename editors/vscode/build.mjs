// Bundles the extension and the chat's page into dist/, with the licences of what they hold.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const common = { bundle: true, minify: true, metafile: true, outdir: 'dist', logLevel: 'warning' };

rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
const results = [
  await build({
    ...common,
    entryPoints: ['src/extension.ts'],
    outExtension: { '.js': '.cjs' },
    external: ['vscode'],
    platform: 'node',
    format: 'cjs',
    target: 'node20', // VSCode 1.91
  }),
  await build({ ...common, entryPoints: ['media/chat.ts'], format: 'iife', target: 'chrome122' }),
];
writeFileSync(join('dist', 'THIRD_PARTY.txt'), licences(results));
// The pack wants it beside package.json; the repository has it once.
copyFileSync(join('..', '..', 'LICENSE'), 'LICENSE');

/** The licence of each package that is in a bundle; one without is an error. */
function licences(results) {
  const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const folders = inputs.map((path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const texts = [...new Set(folders.filter(Boolean))].sort().map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^(licen[cs]e|copying)/i.test(each));
    if (!file || !existsSync(join(folder, file))) {
      throw new Error(`${name} ${version} has no licence file`);
    }
    return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}
