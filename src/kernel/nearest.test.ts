import { expect, it } from 'vitest'
import { nearest } from './nearest.ts'

const TYPES = ['inquiry.received', 'requirements.completed', 'appointment.booked']

it.each([
  ['inquiry.recieved', 'inquiry.received'],
  ['inquiry.receive', 'inquiry.received'],
  ['Inquiry.Received', 'inquiry.received'],
  ['appointment.boked', 'appointment.booked'],
  ['requirement.complete', 'requirements.completed'],
  ['payment.received', undefined],
  ['a', undefined],
  ['', undefined],
])('%j is near %j', (name, meant) => {
  expect(nearest(name, TYPES)).toBe(meant)
})

it('takes the nearest of several', () => {
  expect(nearest('book', ['cook', 'books', 'boo', 'bok'])).toBe('cook')
  expect(nearest('book', [])).toBeUndefined()
})
