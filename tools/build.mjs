// Makes dist/ from nothing: a file whose source was deleted must not be shipped, nor found by a test.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

rmSync(join(root, 'dist'), { recursive: true, force: true })
const compiled = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' })

// npm sets the bit when it installs a package; someone who runs the file from a checkout needs it too. That the file
// exists at all is checked by publint, with a better message than we could give here.
const entry = join(root, 'dist', 'cli', 'main.js')
if (existsSync(entry)) chmodSync(entry, 0o755)
process.exit(compiled.status ?? 1)
