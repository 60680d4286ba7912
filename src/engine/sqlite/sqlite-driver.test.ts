import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { isAtLeast, loadDriver, type Probe } from './sqlite-driver.ts'

describe('the ladder of drivers', () => {
  const probe = (name: Probe['name'], version: string | Error): Probe => ({
    name,
    load: async () => {
      if (version instanceof Error) throw version
      const statement = { run: () => {}, get: () => ({ version }), all: () => [] }
      return { open: () => ({ exec: () => {}, prepare: () => statement, close: () => {} }) }
    },
  })

  it('takes the first that is new enough', async () => {
    expect(await loadDriver([probe('node:sqlite', '3.51.3'), probe('better-sqlite3', '3.53.2')])).toMatchObject({
      name: 'node:sqlite',
      version: '3.51.3',
    })
    expect(await loadDriver([probe('node:sqlite', '3.50.4'), probe('better-sqlite3', '3.53.2')])).toMatchObject({
      name: 'better-sqlite3',
    })
    expect(
      await loadDriver([probe('node:sqlite', new Error('not there')), probe('better-sqlite3', '3.53.2')]),
    ).toMatchObject({ name: 'better-sqlite3' })
  })

  it('with none it is SPINE_NO_SQLITE, with what was found and two ways out', async () => {
    const error = await loadDriver([
      probe('node:sqlite', '3.46.1'),
      probe('better-sqlite3', new Error('Cannot find module')),
    ]).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'SPINE_NO_SQLITE',
      value: ['node:sqlite with SQLite 3.46.1', 'better-sqlite3: Cannot find module'],
    })
    expect((error as Error).message).toContain("'npm install better-sqlite3@12'")
    expect((error as Error).message).toContain('Node 22.22 or later')
  })

  it.each([
    [
      'is not installed',
      "Cannot find module 'better-sqlite3/package.json'\nRequire stack:",
      'MODULE_NOT_FOUND',
      'install',
    ],
    ['was never compiled', 'Could not locate the bindings file. Tried:\n → a\n → b', undefined, 'rebuild'],
    ['was compiled for another Node', "The module 'x.node'\nwas compiled against", 'ERR_DLOPEN_FAILED', 'rebuild'],
  ])('a package that %s: one clear line, and the command that mends just that', async (_what, text, code, command) => {
    const cause = Object.assign(new Error(text), { code })
    const error = await loadDriver([probe('node:sqlite', '3.46.1'), probe('better-sqlite3', cause)]).catch(
      (caught: unknown) => caught,
    )
    const { message } = error as Error
    const reason = command === 'install' ? 'not installed' : `installed without a binary for Node ${process.version}`
    expect(message).toContain(`(node:sqlite with SQLite 3.46.1; better-sqlite3: ${reason}).`)
    expect(message).toContain(`Run 'npm ${command} better-sqlite3`)
    expect(message).not.toContain('\n')
  })

  it('compares versions as numbers', () => {
    expect(isAtLeast('3.51.10', '3.51.3')).toBe(true)
    expect(isAtLeast('3.9.9', '3.51.3')).toBe(false)
    expect(isAtLeast('4.0.0', '3.51.3')).toBe(true)
  })

  it('really finds one here', async () => {
    const { name } = await loadDriver()
    expect(['node:sqlite', 'better-sqlite3']).toContain(name)
    if (name === 'better-sqlite3')
      expect(createRequire(import.meta.url)('better-sqlite3/package.json').version).toMatch(/^12\./)
  })
})
