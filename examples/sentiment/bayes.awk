# bayes.awk - naive Bayes on the words of a text and the pairs of them that stand side by side.
#
#     awk -f bayes.awk TRAIN.tsv TEST.tsv       text, tab, label 0 or 1; prints the accuracy in percent
#
# What counts is whether a word or pair is in a text, not how often (multinomial, binarised, plus one).
#
# SPDX-License-Identifier: MIT
BEGIN {
	FS = "\t"
}

# Fills seen with the features of a text.
function take(text, words, n, i, last)
{
	split("", seen)
	n = split(tolower(text), words, /[ ]+/)
	last = ""
	for (i = 1; i <= n; i++) {
		if (words[i] == "")
			continue
		seen[words[i]] = 1
		seen[last " " words[i]] = 1
		last = words[i]
	}
}

NR == FNR {
	take($1)
	texts[$2]++
	for (f in seen) {
		known[f] = 1
		count[$2, f]++
		total[$2]++
	}
	next
}

FNR == 1 {
	for (f in known)
		kinds++
}

{
	take($1)
	score = log(texts[1] / texts[0])
	for (f in seen)
		if (f in known)
			score += log((count[1, f] + 1) / (total[1] + kinds)) - log((count[0, f] + 1) / (total[0] + kinds))
	right += (score > 0) == ($2 == 1)
}

END {
	printf "%.1f", 100 * right / FNR
}
