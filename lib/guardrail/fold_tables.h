/* Base letters of accented Latin characters ('.': none), from the decompositions of Unicode 14. */
#ifndef AICPI_GUARD_FOLD_TABLES_H
#define AICPI_GUARD_FOLD_TABLES_H

/* U+00C0..U+017F */
static const char fold_latin[] = "aaaaaaaceeeeiiiidnooooo.ouuuuytsaaaaaaaceeeeiiiidnooooo.ouuuuyty"
                                 "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
                                 "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

/* U+1E00..U+1EFF */
static const char fold_latin_more[] =
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
    "mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
    "wwwwwwwwwwxxxxyyzzzzzzhtwyas..s.aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
    "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy......";

/* U+0430..U+045F, Cyrillic letters that look like Latin ones */
static const char fold_cyrillic[] = "a.b..e....k.mho.pcty.x.........."
                                    "ee...siij..h....";

/* U+03B1..U+03C9, Greek letters that look like Latin ones */
static const char fold_greek[] = "aby.e.n.ik..v.o.p..tu.x..";

#endif
