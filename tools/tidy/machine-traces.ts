import { type Finding, findPattern, type SourceFile } from './finding.ts'

const REGISTRY =
  /\bregistry\.[a-z0-9-]+(?:\.[a-z0-9-]+)+|"resolved":\s*"https?:[^"]*|\b(?:artifactory|verdaccio|nexus)\.[a-z0-9-]+\.[a-z]+/gi
const HOME = /(?<![\w.~$}-])\/(?:home|Users|root|work|farm|mnt\/c)\/[\w.-]+|\b[A-Z]:\\Users\\\w+/g

/** Addresses of one network and paths of one machine help nobody else, and tell more than they should. */
export function checkMachineTraces(files: readonly SourceFile[], ownPaths: readonly string[] = []): Finding[] {
  return files.flatMap(({ path, text }) => [
    ...findPattern(
      path,
      text,
      REGISTRY,
      (match) => `'${match}' is the address of a registry: leave it to npm's own settings`,
    ),
    ...findPattern(path, text, HOME, (match) => `'${match}' is a path of one machine: make it relative`),
    ...ownPaths
      .filter((own) => own.length > 3)
      .flatMap((own) =>
        findPattern(path, text, alone(own), () => `'${own}' is a path of this machine: make it relative`),
      ),
  ])
}

/** A short path of a home folder must not be found inside a longer or a relative one. */
function alone(path: string): RegExp {
  return new RegExp(`(?<![\\w.~$}-])${path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\w.-])`, 'g')
}
