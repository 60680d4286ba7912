import type { Finding, SourceFile } from './finding.ts'

interface Locked {
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/**
 * Optional packages that a locked package names and the lock leaves out: `npm ci` then refuses to install anything.
 * It happens when the registry that wrote the lock did not have the binaries of every platform.
 */
export function checkLockFile(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => path === 'package-lock.json')
    .flatMap(({ path, text }) => {
      const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, Locked>> }
      return Object.entries(packages).flatMap(([owner, { optionalDependencies = {} }]) =>
        Object.keys(optionalDependencies)
          .filter((name) => !(`node_modules/${name}` in packages) && !(`${owner}/node_modules/${name}` in packages))
          .map((name) => ({
            path,
            line: 0,
            message: `${owner} wants '${name}', which is not locked: npm ci will fail`,
          })),
      )
    })
}
