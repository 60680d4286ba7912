// Appends and trims without end: `node trim-worker.mjs FILE ROUND`. Prints `appended N` and `trimmed N` once each is durable.
import { sqlite } from 'event-spine/sqlite'

const [file, round] = process.argv.slice(2)
const engine = sqlite(file)
await engine.open()
const place = { time: 1, type: 'work.done', session: 's', request: 'r', key: 's', cause: 0, hops: 0 }
for (let index = 0; ; index++) {
  const name = `${round}-${index}`
  const [outcome] = await engine.append([
    {
      id: `w${name}`,
      key: { scope: 'work', name, print: name },
      records: [place, { ...place, data: { json: '1', value: 1 } }],
    },
  ])
  process.stdout.write(`appended ${outcome.last} ${name}\n`)
  if (index % 7 === 6) {
    const before = outcome.last - 5
    await engine.trim(before)
    process.stdout.write(`trimmed ${before}\n`)
  }
}
