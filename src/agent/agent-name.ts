import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'

/** @throws SPINE_AGENT_INVALID */
export function requireAgentName(name: unknown): void {
  if (isName(name) && !name.startsWith('spine.')) return
  throw new SpineError('SPINE_AGENT_INVALID', `'${String(name)}' cannot be the name of an agent.`, {
    value: name,
    limit: limits.nameCharactersMax,
    fix: "Use letters, digits, '-', '_' and '.', at most 128 characters.",
  })
}

function isName(name: unknown): name is string {
  if (typeof name !== 'string' || name.length > limits.nameCharactersMax) return false
  return /^[a-z0-9]+(?:[-_.][a-z0-9]+)*$/i.test(name)
}

/** @throws SPINE_AGENT_INVALID */
export function requireExclusiveName(what: string, name: unknown): void {
  if (isName(name)) return
  throw new SpineError('SPINE_AGENT_INVALID', `${what}: exclusive ${JSON.stringify(name)} is no name.`, {
    value: name,
    limit: limits.nameCharactersMax,
    fix: "Use letters, digits, '-', '_' and '.', at most 128 characters, the same in all agents that exclude each other.",
  })
}
