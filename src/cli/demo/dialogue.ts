/**
 * The format of the demo's conversations: one JSON object a line.
 *
 * Job: read a file of them and refuse what would make the demo's check meaningless, by line and field.
 * Not its job: playing them (`play-dialogues.ts`) or judging the outcome (`check-ledger.ts`).
 *
 * D1  `effects` is the ordered list of the calls with `effect: true` in turns that no other corrects: what shall stand in the
 *     end. The check compares the services' ledger with it (`expected-effects.ts`).
 * D3  A turn that corrects another comes right behind it, is not corrected itself, and orders nothing that the other ordered.
 * D2  Ids are distinct: a dialogue's id is the id of its session.
 */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { PRIORITIES } from '../../event/priority.ts'
import { canonicalJson } from '../../kernel/json.ts'
import { UsageError } from '../usage-error.ts'

const Name = z
  .string()
  .regex(/^[a-z0-9]+(?:[-_.][a-z0-9]+)*$/i, "a name has letters, digits, '-', '_' and '.'")
  .max(100)

/** What a service is asked to do. An effect changes the world: it must happen exactly once. */
export const ServiceCall = z.object({
  service: Name,
  method: z.string().min(1).max(100),
  parameters: z.record(z.string(), z.json()),
  effect: z.boolean(),
  /** The turn that ordered it: it is taken back, if it was done. */
  takesBack: z.number().optional(),
})
export type ServiceCall = z.infer<typeof ServiceCall>

/** What a service answers: what it found, or what it did. */
export const Results = z.array(z.json())
export type Results = z.infer<typeof Results>

const Effect = ServiceCall.omit({ effect: true, takesBack: true })
export type Effect = z.infer<typeof Effect>

/** What the customer wants of one service, as a perfect language model would read it. */
const Frame = z.object({ intent: z.string(), slots: z.record(z.string(), z.json()), asks: z.array(z.string()) })

const Turn = z.object({
  user: z.string(),
  state: z.record(z.string(), Frame),
  system: z.string(),
  calls: z.array(ServiceCall.extend({ results: Results })).optional(),
  /** Said while the turn before it is still worked on: what that ordered is not wanted any more. */
  corrects: z.boolean().optional(),
})

export type Turn = z.infer<typeof Turn>

const Dialogue = z.object({
  id: z.string().min(1).max(200),
  services: z.array(Name),
  turns: z.array(Turn).min(1),
  effects: z.array(Effect),
  /** How urgent it is; others make room for it. */
  priority: z.enum(PRIORITIES).optional(),
})
export type Dialogue = z.infer<typeof Dialogue>

/** @throws UsageError naming the file, the line and the field */
export async function readDialogues(path: string): Promise<readonly Dialogue[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = missing ? 'there is no such file' : (error as Error).message
    throw new UsageError(`Cannot read conversations from ${path}: ${why}.`, { cause: error })
  }
  return parseDialogues(text, path)
}

/** `name` stands for the text in errors. @throws UsageError */
export function parseDialogues(text: string, name: string): readonly Dialogue[] {
  const dialogues: Dialogue[] = []
  const lines = new Map<string, number>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const at = `${name}, line ${index + 1}`
    const dialogue = parseDialogue(line, at)
    const earlier = lines.get(dialogue.id)
    if (earlier !== undefined) throw new UsageError(`${at}: the id '${dialogue.id}' was used on line ${earlier}.`)
    lines.set(dialogue.id, index + 1)
    dialogues.push(dialogue)
  }
  if (dialogues.length === 0) throw new UsageError(`${name} holds no conversation.`)
  return dialogues
}

function parseDialogue(line: string, at: string): Dialogue {
  const parsed = Dialogue.safeParse(parseJson(line, at))
  if (!parsed.success) throw new UsageError(`${at}: ${describe(parsed.error.issues[0])}.`)
  requireCorrections(parsed.data, at)
  requireEffectsOfTurns(parsed.data, at)
  return parsed.data
}

function parseJson(line: string, at: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw new UsageError(`${at} is no JSON: ${(error as Error).message}.`, { cause: error })
  }
}

function describe(issue: z.core.$ZodIssue | undefined): string {
  const path = (issue?.path ?? []).map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return `${path === '' ? 'the conversation' : path.replace(/^\./, '')}: ${issue?.message ?? 'malformed'}`
}

function requireEffectsOfTurns({ turns, effects }: Dialogue, at: string): void {
  const standing = effectsThatStand(turns)
  const same = effects.map(meaningOf).join('\n') === standing.map(meaningOf).join('\n')
  if (!same)
    throw new UsageError(
      `${at}: 'effects' is not the ordered list of the calls with "effect": true in turns that no other corrects.`,
    )
}

function requireCorrections({ turns }: Dialogue, at: string): void {
  for (const [index, turn] of turns.entries()) {
    if (turn.corrects !== true) continue
    const corrected = turns[index - 1]
    const ordered = corrected === undefined ? [] : effectsOf(corrected)
    const where = `${at}: turns[${index}].corrects`
    if (ordered.length === 0)
      throw new UsageError(`${where}: the turn before it orders nothing that could be corrected.`)
    if (corrected?.corrects === true) throw new UsageError(`${where}: the turn before it is a correction itself.`)
    const before = new Set(ordered.map(meaningOf))
    if (before.size < ordered.length) throw new UsageError(`${where}: the turn before it orders one thing twice.`)
    const again = effectsOf(turn).find((effect) => before.has(meaningOf(effect)))
    if (again !== undefined) throw new UsageError(`${where}: it orders the very same again (${again.method}).`)
  }
}

/** What a turn orders. */
export function effectsOf({ calls = [] }: Turn): readonly Effect[] {
  return calls
    .filter(({ effect }) => effect)
    .map(({ service, method, parameters }) => ({ service, method, parameters }))
}

/** What has to stand in the end. */
export function effectsThatStand(turns: readonly Turn[]): readonly Effect[] {
  return turns.filter((_, index) => turns[index + 1]?.corrects !== true).flatMap(effectsOf)
}

/** The order that takes an effect back. */
export function takingBack({ service, method, parameters }: Effect): Effect {
  return { service, method: `Cancel ${method}`, parameters }
}

/** The same text for the same effect. */
export function meaningOf({ service, method, parameters }: Effect): string {
  return canonicalJson({ service, method, parameters })
}
