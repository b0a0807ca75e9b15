/** How S3 calls encryption with keys of the server: by its current key (SSE-S3), or by one that is named (SSE-KMS). */
export const SERVER_ALGORITHMS = ['AES256', 'aws:kms'] as const;
export type ServerAlgorithm = (typeof SERVER_ALGORITHMS)[number];
