/** The one of `candidates` that someone who wrote `name` most likely meant; `undefined` when none is near. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / 4)) + 1
  for (const candidate of candidates) {
    // The difference in length is a distance already; most candidates end here.
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue
    const found = distance(name.toLowerCase(), candidate.toLowerCase())
    if (found < bestDistance) {
      best = candidate
      bestDistance = found
    }
  }
  return best
}

/** Edits (insert, delete, replace, swap of neighbours) from one text to the other: the optimal string alignment distance. */
function distance(from: string, to: string): number {
  let twoBack: number[] = []
  let before = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const replaced = (before[column - 1] as number) + (from[row - 1] === to[column - 1] ? 0 : 1)
      let least = Math.min(replaced, (before[column] as number) + 1, (current[column - 1] as number) + 1)
      const isSwapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (isSwapped) least = Math.min(least, (twoBack[column - 2] as number) + 1)
      current.push(least)
    }
    twoBack = before
    before = current
  }
  return before[to.length] as number
}
