import type { Finding, SourceFile } from './finding.ts'
import { importsOf } from './imports.ts'

/**
 * Files that import each other in a circle. Type-only imports do not count: they vanish when compiled, and two
 * types that name each other are one idea, not two modules that cannot be loaded apart.
 */
export function checkCycles(files: readonly SourceFile[]): Finding[] {
  const graph = new Map<string, readonly string[]>()
  for (const file of files.filter(({ path }) => path.endsWith('.ts'))) {
    const eager = importsOf(file).filter(({ from, typeOnly, dynamic }) => from.startsWith('.') && !typeOnly && !dynamic)
    graph.set(
      file.path,
      eager.map(({ target }) => target),
    )
  }

  const findings: Finding[] = []
  const done = new Set<string>()
  const trail: string[] = []
  const visit = (path: string): void => {
    const start = trail.indexOf(path)
    if (start !== -1) {
      const circle = [...trail.slice(start), path].join(' → ')
      findings.push({ path, line: 0, message: `imports itself in a circle: ${circle}` })
    }
    if (start !== -1 || done.has(path)) return
    trail.push(path)
    for (const next of graph.get(path) ?? []) visit(next)
    trail.pop()
    done.add(path)
  }
  for (const path of graph.keys()) visit(path)
  return findings
}
