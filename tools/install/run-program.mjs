// Runs what a user would type, never longer than it may take.
import { spawnSync } from 'node:child_process'
import { delimiter, dirname } from 'node:path'

/** `node`: whose folder comes first on the PATH, so that npm, npx and every `#!/usr/bin/env node` run on it. */
export function run(program, args, { cwd, seconds = 60, node = process.execPath }) {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
  // These would make an install in an empty folder an install in the package whose script we are.
  for (const name of ['npm_config_local_prefix', 'npm_package_json', 'INIT_CWD', 'NODE_OPTIONS']) delete env[name]
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
  })
  return { status: status ?? signal ?? String(error), stdout: stdout ?? '', stderr: stderr ?? '' }
}

/** What a failed check shows of it. */
export function describeRun({ status, stdout, stderr }) {
  return `it ended with ${status}\nstdout: ${stdout.slice(-2000)}\nstderr: ${stderr.slice(-4000)}`
}
