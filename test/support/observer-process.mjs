// A process that knows no agent's code: it folds records and answers with the canonical state.
// Messages: { records } (of a memory log) or { path } (of an SQLite file); the answer is { state } or { error }.
import { encodeState, evolve, initialState } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'

process.on('message', async (message) => {
  try {
    const state = initialState()
    for await (const record of message.path === undefined ? message.records : recordsOf(message.path))
      evolve(state, record)
    process.send({ state: encodeState(state) })
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) })
  }
})

async function* recordsOf(path) {
  const engine = sqlite(path, { readOnly: true })
  await engine.open()
  try {
    for (let after = 0; ; ) {
      const page = await engine.read({ after, limit: 1000 })
      if (page.length === 0) return
      yield* page
      after = page.at(-1).sequence
    }
  } finally {
    await engine.close()
  }
}
