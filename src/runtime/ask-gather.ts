/** What `ctx.gather` asks of a run: its branches, those that are functions begun, and the gather over them. */
import type { GatherOptions } from '../agent/gather.ts'
import { type Branches, Lateness, type Scope } from './branches.ts'
import { ContextHandle } from './context-handle.ts'
import { type BranchGiven, type Followed, foreignBranch, Gather, type GatherPlan, planGather } from './gather.ts'
import type { Commands, RunContext } from './run-context.ts'

/** In one turn: so that what the branches ask for at once, and the gather, are one commit. */
export function askGather(context: RunContext, given: unknown, options: GatherOptions): Promise<unknown> {
  const { agent, commands } = context.attempt
  const plan = planGather(given, options, agent.name)
  requireOwn(commands.branches, plan, agent.name)
  const id = commands.reserve('@gather')
  if (id === undefined) return new Promise(() => {})
  const followed = plan.branches.map((branch) =>
    typeof branch.given === 'function'
      ? enter(context, id, branch.key, branch.given as (scope: ContextHandle) => unknown)
      : commands.branches.isRefused(branch.given)
        ? // It fails like a function that throws the same.
          enter(context, id, branch.key, () => branch.given)
        : follow(commands, plan, branch),
  )
  return commands.askAs(id, { kind: 'gather', gather: new Gather(id, plan, followed) })
}

/** Before any function is entered, so that a mistake has no effect. */
function requireOwn(branches: Branches, plan: GatherPlan, agent: string): void {
  const seen = new Set<string>()
  for (const { key, given } of plan.branches) {
    if (typeof given === 'function' || branches.isRefused(given)) continue
    const id = typeof given === 'object' && given !== null ? branches.idOf(given) : undefined
    if (id === undefined) throw foreignBranch(key, agent)
    if (seen.has(id)) throw foreignBranch(key, agent, 'is the same promise as another one')
    seen.add(id)
  }
}

function follow(commands: Commands, plan: GatherPlan, { key, given }: BranchGiven): Followed {
  const { branches } = commands
  const promise = given as Promise<unknown>
  const id = branches.idOf(promise) as string
  const command = commands.commandOf(id)
  const inner = command?.kind === 'gather' ? command.gather : undefined
  if (command?.kind !== 'step' || plan.onLate === 'finish') return { key, id, promise, lateness: undefined, inner }
  // For a step that was asked for in this turn, and has not begun.
  const lateness = new Lateness(branches.scopeOf(id)?.lateness)
  command.lateness = lateness
  return { key, id, promise, lateness, inner }
}

function enter(context: RunContext, gather: string, key: string, run: (scope: ContextHandle) => unknown): Followed {
  const { commands } = context.attempt
  const name = `${gather}/${key.replaceAll('%', '%25').replaceAll('/', '%2F')}`
  const { branches } = commands
  const lateness = new Lateness(branches.scope?.lateness)
  const isWanted = () => !branches.isAbandoned && !lateness.isLate
  const scope: Scope = { prefix: `${name}/`, lateness }
  const work = begin(run, new ContextHandle(context, scope))
  const id = `${name}#0`
  const promise = commands.askAs(id, { kind: 'branch', work, isWanted })
  return { key, id, promise, lateness, inner: undefined }
}

function begin(run: (scope: ContextHandle) => unknown, scope: ContextHandle): Promise<unknown> {
  const work = (async () => run(scope))()
  work.catch(() => {})
  return work
}
