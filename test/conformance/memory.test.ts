import { engineConformance } from 'event-spine/conformance'
import { memory } from 'event-spine/memory'

engineConformance('memory', {
  create() {
    const engine = memory()
    return { engine: () => engine, remove() {} }
  },
})
