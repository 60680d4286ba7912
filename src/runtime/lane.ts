/** The one lane of an embedded log, and the head that its claims move. */
export const LANE = '*'
export const LANE_HEAD = `lane/${LANE}`
