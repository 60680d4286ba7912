/** What a newcomer reads on stderr, word for word. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const PROGRAM = fileURLToPath(new URL('program.mjs', import.meta.url))

it.each([
  [
    'an event that nobody handles',
    [
      "event-spine: no agent is registered for 'inquiry.recieved': did you mean 'inquiry.received'?; the event is kept on the log",
    ],
  ],
  [
    'a handler that throws',
    [
      "event-spine: agent 'inquiry' failed on record 3 of session 'customer-42': TypeError: the model said no (at PLACE); attempt 2 of 2 in DELAY ms",
      "event-spine: agent 'inquiry' failed on record 3 of session 'customer-42': TypeError: the model said no (at PLACE); dead after 2 attempts: see spine.deadLetters",
    ],
  ],
  [
    'data that does not fit',
    [
      'inquiry.received: data.text: expected string, received number; data.count: expected number, received string. Correct the data, or the schema if the data is right.',
    ],
  ],
  [
    'a process that ends too early',
    [
      "event-spine: the process ends without spine.close(); 1 delivery of 'inquiry': open, to go on when this log is opened again",
    ],
  ],
  [
    'an agent that was renamed in the code',
    [
      "event-spine: agent 'inquiry' has 1 open delivery but is not hosted here: host it, or spine.agents.rename('inquiry', newName), or spine.agents.remove('inquiry')",
    ],
  ],
  [
    'a call to a name with a slip',
    [
      "event-spine: agent 'asking' failed on record 4 of session 's': SPINE_AGENT_UNKNOWN: No agent named 'expret' is registered on this log. Did you mean 'expert'? Pass it in createSpine({ agents }) of some process that runs on this log, at least once.; dead after 1 attempt: see spine.deadLetters",
    ],
  ],
])('%s', (mistake, lines) => {
  const { stderr, stdout, status } = spawnSync(process.execPath, [PROGRAM, mistake], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
  const told = stderr
    .trim()
    .split('\n')
    .map((line) => line.replace(/\(at [^)]*program\.mjs[^)]*\)?\)/, '(at PLACE)').replace(/in \d+ ms/, 'in DELAY ms'))
  expect(told).toEqual(lines)
})
