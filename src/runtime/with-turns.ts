import { turnHead } from '../coordination/freshness.ts'
import type { SpineState } from '../coordination/state.ts'
import type { CommitDraft } from './appender.ts'

/** The same commit; one with events that overtake older work of their sessions moves the heads of those turns. */
export function withTurns({ turns }: SpineState, commit: CommitDraft): CommitDraft {
  if (!turns.isUsed) return commit
  const moves = new Set<string>()
  for (const { type, session } of commit.records) if (turns.listeners.has(type)) moves.add(turnHead(session))
  return moves.size === 0 ? commit : { ...commit, moves: [...(commit.moves ?? []), ...moves] }
}
