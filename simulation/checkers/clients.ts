import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

/** I1 to I6 and I8: what a client was told is what the log says, once, in an order that fits what clients saw. */
export function checkClients({ records, history }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  for (const [index, record] of records.entries()) {
    if (record.sequence !== index + 1)
      findings.push({ invariant: 'I5', what: `record ${record.sequence} stands at place ${index + 1}` })
  }
  const orders = records.filter(({ type }) => type === 'order.placed')
  const bySequence = new Map(orders.map((record) => [record.sequence, record]))
  const timesPlaced = new Map<number, number>()
  for (const { data } of orders) {
    const { id } = data as { id: number }
    timesPlaced.set(id, (timesPlaced.get(id) ?? 0) + 1)
  }
  for (const { id, session, acknowledged, key } of history.publications) {
    const times = timesPlaced.get(id) ?? 0
    if (times > 1) findings.push({ invariant: 'I2', what: `${key} is on the log ${times} times` })
    if (acknowledged.length > 0 && times === 0)
      findings.push({ invariant: 'I1', what: `${key} was acknowledged and is not on the log` })
    for (const { sequence, request } of acknowledged) {
      const record = bySequence.get(sequence)
      const isSame =
        (record?.data as { id?: number } | undefined)?.id === id &&
        record?.session === session &&
        record?.request === request
      if (!isSame)
        findings.push({ invariant: 'I3', what: `${key} was acknowledged at ${sequence}, where something else stands` })
      if (sequence !== acknowledged[0]?.sequence)
        findings.push({ invariant: 'I8', what: `${key} was acknowledged at two places` })
    }
  }
  return [...findings, ...checkRealTime(history.publications)]
}

/** I6: who was told before another one asked stands before it. */
function checkRealTime(publications: Evidence['history']['publications']): readonly Finding[] {
  const told = publications.flatMap(({ acknowledged, key }) => acknowledged.slice(0, 1).map((ack) => ({ ...ack, key })))
  const asked = publications
    .filter(({ acknowledged }) => acknowledged.length > 0)
    .sort((left, right) => left.invoked - right.invoked)
  told.sort((left, right) => left.at - right.at)
  let next = 0
  let highest = { sequence: 0, key: '' }
  const findings: Finding[] = []
  for (const { invoked, acknowledged, key } of asked) {
    for (let ack = told[next]; ack !== undefined && ack.at < invoked; ack = told[++next])
      if (ack.sequence > highest.sequence) highest = ack
    const own = acknowledged[0]?.sequence as number
    if (own < highest.sequence)
      findings.push({
        invariant: 'I6',
        what: `${key} (${own}) was asked for after ${highest.key} (${highest.sequence}) was told`,
      })
  }
  return findings
}
