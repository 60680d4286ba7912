/** Holds the services' process for the supervisor. */
import { CommandError } from '../command-error.ts'
import { ended, startChildProcess } from './child-process.ts'
import type { ServicesProcessConfig, ServicesMessage } from './services-process.ts'

export interface Services {
  readonly url: string
  /** Called when an effect has been carried out and the answer is still on its way. */
  onCarriedOut: (() => void) | undefined
  /** Rejects when the process ends by itself. */
  readonly failed: Promise<never>
  stop(): Promise<void>
}

export async function startServices(config: ServicesProcessConfig, onLine: (line: string) => void): Promise<Services> {
  const child = startChildProcess(new URL('./services-process.js', import.meta.url), config, onLine)
  let stopping = false
  const failed = ended(child).then((how) => {
    // Nobody hears this when it was stopped on purpose: the race that it takes part in is over.
    throw new CommandError(stopping ? 'the services were stopped' : `The services' process ended by itself (${how}).`)
  })
  failed.catch(() => {})
  const listening = new Promise<number>((resolve) => {
    child.on('message', (message: ServicesMessage) => {
      if (message.kind === 'listening') resolve(message.port)
      else services.onCarriedOut?.()
    })
  })
  const services: Services = {
    url: '',
    onCarriedOut: undefined,
    failed,
    async stop() {
      stopping = true
      child.kill('SIGKILL')
      await ended(child)
    },
  }
  const port = await Promise.race([listening, failed])
  return Object.assign(services, { url: `http://127.0.0.1:${port}` })
}
