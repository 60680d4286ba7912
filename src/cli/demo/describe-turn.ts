/** One turn of a conversation as it stands on the log, in lines for someone who watches. */
import type { Json, LogRecord } from '../../index.ts'
import { DocumentWritten, EffectConfirmed, HelpGiven, HelpWanted, TurnCorrected, TurnReceived } from './office.ts'

const COLUMNS_MAX = 110

export function describeTurn(records: readonly LogRecord[]): readonly string[] {
  return records.flatMap((record) => {
    const text = describeRecord(record)
    return text === undefined ? [] : [shorten(`  ${String(record.sequence).padStart(6)}  ${text}`)]
  })
}

function describeRecord({ type, agent = '', data }: LogRecord): string | undefined {
  const fields = data as { readonly [name: string]: Json }
  switch (type) {
    case TurnReceived.type:
      return line('customer', `"${fields['text']}"`)
    case TurnCorrected.type:
      return line('customer', `"${fields['text']}" (a correction)`)
    case 'spine.delivery.superseded':
      return line(agent, 'is overtaken by the correction')
    case 'spine.route.decided':
      return line(agent, `is ${Math.round(100 * Number(fields['value']))} % sure: ${fields['target']}`)
    case HelpWanted.type:
      return line(agent, 'asks a person')
    case HelpGiven.type:
      return line('a person', 'answers')
    case 'spine.call.requested':
      return line(agent, `asks ${fields['target']}`)
    case 'spine.delivery.completed':
      return describeHandoff(agent, fields['handoff'])
    case EffectConfirmed.type:
      return line(agent, `did it: ${fields['method']}`)
    case DocumentWritten.type:
      return line(agent, String(fields['text']))
    default:
      return undefined
  }
}

function describeHandoff(agent: string, handoff: Json | undefined): string | undefined {
  if (handoff === undefined) return undefined
  return line(agent, `hands over to ${(handoff as { readonly target: string }).target}`)
}

function line(who: string, what: string): string {
  return `${who.padEnd(20)}  ${what}`
}

function shorten(text: string): string {
  return text.length <= COLUMNS_MAX ? text : `${text.slice(0, COLUMNS_MAX - 1)}…`
}
