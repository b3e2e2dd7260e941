/** Who begins a request and sends no more is not waited for: milliseconds for its head, and between two looks. */
export const slowClientLimits = { headersTimeout: 10_000, connectionsCheckingInterval: 2_000 }
