#!/bin/bash
# sentiment.sh - the sentiment example goes through, with a few texts and steps.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
run=$TRIT_SOURCE/examples/sentiment/run
mkdir -p data/sst2 data/rotten-tomatoes data/movie-reviews
for i in $(seq 40); do
	printf 'a fine film , number %d\t1\nno good at all , number %d\t0\n' $i $i >>data/sst2/train.tsv
	echo "worth seeing twice , and a third time in the year $i" >>data/rotten-tomatoes/rt-polarity.pos
	echo "two hours of it , all of them too long by $i" >>data/rotten-tomatoes/rt-polarity.neg
	for label in 0 1; do
		printf '%d\tcv%d%02d_1.txt\t%s\n' $label $((i % 3 + 7)) $i \
			"it begins with a scene of $i people . it ends with another . what is between them is $label of 1 ." \
			>>data/movie-reviews/movie_reviews.tsv
	done
done
cp data/sst2/train.tsv data/sst2/dev.tsv
cp data/sst2/train.tsv data/sst2/test.tsv

export TRIT=$T STEPS=2 KINDS="ternary small"
expect 0 "$run" data made
has out '^\| accuracy, % \| size \| sst2 \| rt \| mr \|' \
	'^\| always the more frequent label \| \| 50.0 \| 50.0 \| 50.0 \|' \
	'^\| naive Bayes .* 100.0 \| 100.0 \|' '^\| ternary \| 0.[0-9]+ MB \| [0-9.]+ \+- [0-9.]+ \|' '^\| small \| '
[ "$(wc -l <made/data/rt-test.tsv)" -eq 8 ] || fail "not every tenth sentence is in the test"

# What is there is not made again.
expect 0 "$run" data made
[ -s err ] && fail "the second time something is trained"
rm made/small-rt/done
expect 0 "$run" data made
has err "go on|step|done"
exit 0
