import { startPubSub } from "../../../services/emulators/pubsub/server.ts"

// A Pub/Sub that a test kills: prints its port.
const { port } = await startPubSub({ stateFile: process.argv[2] })
console.log(port)
