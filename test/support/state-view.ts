/** A state as it is encoded, read back for tests: only what they look at. */
export interface DeliveryView {
  readonly id: string
  readonly status: string
  readonly request: string
  readonly session: string
  readonly key: string
  readonly attempt: number
  readonly started: boolean
  readonly began: boolean
  readonly crashes: number
  readonly generation: number
  readonly hops: number
  readonly due: number
  readonly deadline: number
  readonly caller: string
  readonly call: number
  readonly observes: boolean
  readonly join: { readonly seen: readonly { readonly type: string; readonly sequence: number }[] } | null
  readonly missing: readonly string[]
  readonly run: RunView | null
}

export interface RunView {
  readonly basis: number
  readonly version: string
  readonly commands: readonly {
    readonly name: string
    readonly kind: string
    readonly ended: number
    readonly ok: boolean
    readonly callee: string
    readonly due: number
    readonly carried: boolean
  }[]
  readonly gathers?: readonly { readonly name: string; readonly branches: readonly string[] }[]
}

/** What `encodeState` writes, read back. */
export interface StateView {
  readonly at: number
  readonly agents: readonly {
    readonly name: string
    readonly registration: { readonly on: readonly string[] } | null
    readonly since: number
    readonly open: number
    readonly breaker?: {
      readonly openings: number
      readonly until: number
      readonly probe: number
      readonly verdict: string
    }
    readonly rate?: readonly { readonly key: string; readonly starts: readonly number[] }[]
    readonly paused?: { readonly since: number; readonly why: string | null }
    readonly holds: readonly { readonly key: string; readonly mode: string; readonly letters: readonly number[] }[]
  }[]
  readonly deliveries: readonly DeliveryView[]
  readonly requests: readonly { readonly id: string; readonly open: number; readonly deadline: number }[]
  readonly deadLetters: readonly {
    readonly id: string
    readonly sequence: number
    readonly request: string
    readonly run: RunView | null
  }[]
  readonly lanes: readonly {
    readonly lane: string
    readonly claimed: number
    readonly owner: string
    readonly released: boolean
    readonly careful: boolean
  }[]
}

export function readState(encoded: string): StateView {
  return JSON.parse(encoded) as StateView
}

/** `'<id> <status>'` of everything open, in the order of their sources: what most tests ask for. */
export function openWork({ deliveries }: StateView): readonly string[] {
  const source = (id: string) => Number.parseInt(id, 10)
  const sorted = [...deliveries].sort(
    (left, right) => source(left.id) - source(right.id) || (left.id < right.id ? -1 : 1),
  )
  return sorted.map(({ id, status }) => `${id} ${status}`)
}
