/*
 * dedup.h - tells documents that were there before: the same ones by their fingerprint, almost the same ones by MinHash
 * [Broder97] and locality-sensitive hashing.
 *
 * Two texts are compared as the sets of their runs of five words: their likeness is the size of what these have in
 * common over the size of both together (Jaccard). A signature of TRIT_MINHASH numbers estimates it: each is the least
 * hash among the runs that fall into its bin, and empty bins borrow from others (one permutation hashing with optimal
 * densification [Shrivastava17]). Signatures that agree in a whole band of numbers are compared in full. Letters of
 * scripts without spaces (Chinese, Thai ...) count as words.
 *
 * The first of several is the one that stays, in order of the text: nothing depends on threads. Memory is bounded:
 * beyond its size the oldest signatures are forgotten, and counted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DEDUP_H
#define TRIT_TRAIN_DEDUP_H

#include "train/clean.h"

enum trit_dedup_how { TRIT_DEDUP_NONE, TRIT_DEDUP_EXACT, TRIT_DEDUP_NEAR /* and exact */ };

#define TRIT_MINHASH 128

struct trit_signature {
	uint16_t hash[TRIT_MINHASH];
};

/** Any thread. */
void trit_signature_of(struct trit_signature *s, size_t len, const char *text);
/** Estimate of the likeness, 0 .. 1; off by 0.035 in the mean where it is 0.8. */
double trit_signature_likeness(const struct trit_signature *a, const struct trit_signature *b);

struct trit_dedup;

/** threshold: the least likeness of a near duplicate, above 0 up to 1. max_bytes: for signatures; fingerprints take
 * about 32 bytes a document beside. Errors: ARG, MEMORY. */
TRIT_MUST_CHECK int trit_dedup_new(struct trit_dedup **out, enum trit_dedup_how how, double threshold,
                                   uint64_t max_bytes, struct trit_error *err);
void trit_dedup_free(struct trit_dedup *d);
/** KEPT, and remembered; or DUPLICATE, or NEAR_DUPLICATE. signature: only for near. */
TRIT_MUST_CHECK int trit_dedup_add(struct trit_dedup *d, struct trit_fingerprint f, const struct trit_signature *s,
                                   enum trit_fate *fate, struct trit_error *err);
/** Signatures that were forgotten. */
uint64_t trit_dedup_forgotten(const struct trit_dedup *d);

#endif
