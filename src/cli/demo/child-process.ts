/** The two ends of a child process of the demo. They are built together, so what passes between them is not validated. */
import { type ChildProcess, fork } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Starts a script of this folder. What it has to say on stderr comes line by line, so that it tears nothing. */
export function startChildProcess(script: URL, config: object, onLine: (line: string) => void): ChildProcess {
  const child = fork(script, [JSON.stringify(config)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', onLine)
  return child
}

/** Resolves with how it ended, once all that it had said has been heard. */
export function ended(child: ChildProcess): Promise<string> {
  const how = () => (child.signalCode === null ? `exit code ${child.exitCode}` : child.signalCode)
  return new Promise((resolve) => {
    if (endedChildren.has(child)) resolve(how())
    else child.once('close', () => resolve(how())).once('close', () => endedChildren.add(child))
  })
}

/** `close` comes once; who asks later must still learn of it. */
const endedChildren = new WeakSet<ChildProcess>()

/** Called once at the top of a child: reads its configuration, and ties its life to its parent's. */
export function childConfig<Config extends object>(): Config {
  // Ctrl-C reaches the whole group; the parent decides in which order its children end.
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit(1))
  return JSON.parse(process.argv[2] ?? '{}') as Config
}

/** Resolves when the message is out; at once in a process that nobody waits for. */
export function tellParent<Message extends object>(message: Message): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve()
    else process.send(message, () => resolve())
  })
}
