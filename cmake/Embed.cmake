# Embed.cmake - trit_embed(VARIABLE FILE NAME): a C file, its path in VARIABLE, that holds FILE as the string NAME. Run
# by itself (cmake -DFILE=... -DNAME=... -DOUT=... -P Embed.cmake) it makes that file.
#
# SPDX-License-Identifier: MIT
if(CMAKE_SCRIPT_MODE_FILE)
	file(READ ${FILE} bytes HEX)
	string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
	string(REGEX REPLACE "0x0a," "0x0a,\n" bytes "${bytes}") # lines as in the file
	file(WRITE ${OUT} "extern const char ${NAME}[];\nconst char ${NAME}[] = {\n${bytes}0};\n")
	return()
endif()

set(trit_embed_script ${CMAKE_CURRENT_LIST_FILE})
function(trit_embed variable file name)
	set(out ${PROJECT_BINARY_DIR}/embedded/${name}.c)
	add_custom_command(OUTPUT ${out}
		COMMAND ${CMAKE_COMMAND} -DFILE=${PROJECT_SOURCE_DIR}/${file} -DNAME=${name} -DOUT=${out}
			-P ${trit_embed_script}
		DEPENDS ${PROJECT_SOURCE_DIR}/${file} ${trit_embed_script}
		COMMENT "Embedding ${file}" VERBATIM)
	set(${variable} ${out} PARENT_SCOPE)
endfunction()
