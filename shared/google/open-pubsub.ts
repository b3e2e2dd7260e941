import { PubSub } from "@google-cloud/pubsub"

export interface PubSubSettings {
  GOOGLE_CLOUD_PROJECT: string
  /** host:port of a local cloud. */
  PUBSUB_EMULATOR_HOST?: string | undefined
}

/** The Pub/Sub client, for Google or for a local cloud. */
export function openPubSub(settings: PubSubSettings): PubSub {
  const endpoint = settings.PUBSUB_EMULATOR_HOST
  return new PubSub({
    projectId: settings.GOOGLE_CLOUD_PROJECT,
    // Without universe_domain the client asks a metadata server which universe it is in, even for an emulator.
    ...(endpoint
      ? { apiEndpoint: endpoint, emulatorMode: true, clientOptions: { universe_domain: "googleapis.com" } }
      : {}),
  })
}
