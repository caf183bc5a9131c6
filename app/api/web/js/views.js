// Every view: its address, its name in the bar, and the role it is for.

import { Compare } from './views/compare.js'
import { DeadLetters } from './views/dead_letters.js'
import { Destinations } from './views/destinations.js'
import { Queues } from './views/queues.js'
import { Runs } from './views/runs.js'
import { Start } from './views/start.js'
import { Templates } from './views/templates.js'
import { Workers } from './views/workers.js'

export const views = [
  { path: 'runs', title: 'Runs', component: Runs },
  { path: 'start', title: 'Start a run', component: Start, role: 'operator' },
  { path: 'compare', title: 'Compare', component: Compare },
  { path: 'templates', title: 'Templates', component: Templates },
  { path: 'workers', title: 'Workers', component: Workers },
  { path: 'dead-letters', title: 'Dead letters', component: DeadLetters },
  { path: 'queues', title: 'Queues', component: Queues },
  { path: 'destinations', title: 'Destinations', component: Destinations },
]
