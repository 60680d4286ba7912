/**
 * Steps that were still running when their run made room for more urgent work: a resumed run joins them.
 *
 * Job: keep them until they end, and find them again. Not its job: recording what they bring (`perform-commands.ts`).
 *
 * Z1  What such a step brings is journaled, whether its run has been resumed by then or not; its failure is not, because its
 *     signal has fired, and the step is done again.
 * Z2  Whoever is not done `limits.stoppedStepMs` after the signal, and has not been joined, is a zombie: nothing that it
 *     still brings is written. Its agent keeps count of them. What is on its way to the log by then is done.
 */
import type { Clock } from '../kernel/clock.ts'
import { limits } from '../kernel/limits.ts'
import type { Run } from './run.ts'

interface UnderWay {
  /** True when an outcome was journaled. */
  readonly ended: Promise<boolean>
  isJoined: boolean
  /** Its outcome is on the way to the log. */
  isRecording: boolean
  isZombie: boolean
}

export class PreemptedSteps {
  readonly #clock: Clock
  readonly #steps = new Map<string, UnderWay>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A run makes room. `count` is told when the number of its zombies changes. */
  add(run: Run, count: (change: 1 | -1) => void): void {
    const steps = [...run.stepsUnderWay].map(([id, ended]) => {
      const name = nameOf(run, id)
      const step: UnderWay = { ended, isJoined: false, isRecording: false, isZombie: false }
      this.#steps.set(name, step)
      void ended.finally(() => {
        if (this.#steps.get(name) === step) this.#steps.delete(name)
      })
      return { name, step }
    })
    if (steps.length === 0) return
    const timer = this.#clock.setTimer(this.#clock.now() + limits.stoppedStepMs, () => {
      const late = steps.filter(
        ({ name, step }) => this.#steps.get(name) === step && !step.isJoined && !step.isRecording,
      )
      if (late.length === 0) return
      for (const { name, step } of late) {
        step.isZombie = true
        this.#steps.delete(name)
      }
      count(1)
      void Promise.allSettled(late.map(({ step }) => step.ended)).then(() => count(-1))
      run.host.logger.warn(
        `agent '${run.agent.name}' goes on with '${late.map(({ name }) => name.split('/').at(-1)).join("', '")}' though more urgent work took its slot (record ${run.source}): hand the step's signal to what it waits for`,
      )
    })
    void Promise.allSettled(steps.map(({ step }) => step.ended)).then(() => timer.cancel())
  }

  /** Of the same step of the same run, before it made room. */
  join(run: Run, id: string): Promise<boolean> | undefined {
    const step = this.#steps.size === 0 ? undefined : this.#steps.get(nameOf(run, id))
    if (step === undefined) return undefined
    step.isJoined = true
    return step.ended
  }

  /** It brings an outcome. True when that may be written: it is no zombie, and its run has not been started over. */
  brings(run: Run, id: string): boolean {
    const step = this.#steps.get(nameOf(run, id))
    if (step === undefined || step.isZombie) return false
    step.isRecording = true
    return true
  }
}

function nameOf(run: Run, id: string): string {
  return `${run.source}/${run.agent.name}/${run.generation}/${id}`
}
