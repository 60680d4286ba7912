/** The only place that maps what people type to an engine. An engine is loaded when it is asked for. */
import type { Engine } from '../engine/engine.ts'
import { UsageError } from './usage-error.ts'

export type EnginePlace = { readonly kind: 'memory' } | { readonly kind: 'sqlite'; readonly path: string }

/** Two letters at least, so that the drive of a Windows path is no scheme. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i

/** Reads `memory`, a file path, or `sqlite:PATH`. @throws UsageError */
export function parseEngineUrl(url: string): EnginePlace {
  if (url === 'memory' || url === 'memory:') return { kind: 'memory' }
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase()
  if (scheme !== undefined && scheme !== 'sqlite') {
    throw new UsageError(`No engine is known for '${scheme}:'. Use 'memory', a file path, or 'sqlite:PATH'.`)
  }
  const path = scheme === undefined ? url : url.slice('sqlite:'.length)
  if (path === '') throw new UsageError("The engine names no file. Use 'memory', a file path, or 'sqlite:PATH'.")
  return { kind: 'sqlite', path }
}

/** @throws UsageError, and what the engine itself throws */
export async function engineFromUrl(url: string, options: { readonly readOnly?: boolean } = {}): Promise<Engine> {
  const place = parseEngineUrl(url)
  if (place.kind === 'sqlite') {
    const { sqlite } = await import('../engine/sqlite/index.ts')
    return sqlite(place.path, options)
  }
  const { memory } = await import('../engine/memory/index.ts')
  return memory()
}
