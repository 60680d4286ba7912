import type { Json } from './json.ts'

type JsonObject = { readonly [key: string]: Json }

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** JSON merge patch (RFC 7396): objects merge, `null` deletes, anything else replaces. Neither argument is changed. */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  const merged: Record<string, Json> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else merged[key] = mergePatch(merged[key] ?? null, value)
  }
  return Object.freeze(merged)
}

/** Whether every field of `part` is in `whole` with an equal value; objects are compared field by field, arrays whole. */
export function includes(whole: Json | undefined, part: Json): boolean {
  if (Array.isArray(part)) {
    return (
      Array.isArray(whole) &&
      whole.length === part.length &&
      part.every((item: Json, index) => includes(whole[index] as Json, item))
    )
  }
  if (!isObject(part)) return whole === part
  return isObject(whole) && Object.entries(part).every(([key, value]) => includes(whole[key], value))
}
